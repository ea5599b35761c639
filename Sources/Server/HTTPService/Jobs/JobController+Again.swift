import API
import Core
import Crypto
import Foundation
import Hummingbird
import Inputs
import Jobs

/// Jobs that are run again.
extension JobController {
  /// `POST /v1/jobs/{job}/again`: 202 with a new job of the same inputs, options, hub token and webhook.
  ///
  /// It belongs to the caller, who must be allowed to change the old one: a sealed token comes with it. A repository stays
  /// at the commit that the old job was pinned to. It always runs. Throws `Fault` 409 when an input is gone.
  @Sendable func again(_ request: Request, context: ServiceContext) async throws -> Response {
    let id = try await findOwn(context)
    guard let former = try await store.submitted(id) else { throw Self.notFound(id.description) }
    let key = try IdempotencyKey.read(request.headers).map {
      IdempotencyKey(key: $0, digest: SHA256.hash(data: Data("again:\(id)".utf8)).hexadecimal)
    }
    var job = Job(
      id: .generate(), command: former.command, model: former.model, sourceFormat: former.sourceFormat,
      targetFormat: former.targetFormat, config: former.config, checkpoint: former.checkpoint, options: former.options,
      createdAt: .now, ownership: context.principal.ownership)
    job.inputBytes = former.inputBytes
    job.webhook = former.webhook.map {
      Webhook(target: Webhook.Target(id: .generate(), url: $0.target.url, secret: $0.target.secret))
    }
    job.fingerprint = try await fingerprint(of: job, context)
    do {
      return try await answer(insert(job, bringing: [], key: key, reuse: nil), context)
    } catch JobStoreError.unknownUpload(let upload) {
      throw Self.incomplete(id, "the upload \(upload) was removed")
    } catch JobStoreError.keyTaken {
      throw Self.keyTaken
    }
  }

  /// The fingerprint of a job under this version of the program; nil when an input is a download. Throws `Fault` 409 when
  /// an input is gone.
  private func fingerprint(of job: Job, _ context: ServiceContext) async throws -> String? {
    var fingerprint = try JobFingerprint(
      program: ProgramDigest.current, command: job.command, model: models.listing(named: job.model)?.name ?? job.model,
      source: job.sourceFormat, target: job.targetFormat, options: job.options)
    var isLocal = true
    for input in job.inputs {
      switch input {
      case .upload(let id, let name):
        guard let upload = try await uploads.upload(id), context.principal.sees(upload.ownership) else {
          throw Self.incomplete(job.id, "the upload \(id) was removed")
        }
        fingerprint.add(name, sha256: upload.sha256)
      case .inline(let text?, let name):
        fingerprint.add(name, sha256: SHA256.hash(data: Data(text.utf8)).hexadecimal)
      case .inline(nil, _):
        throw Self.incomplete(job.id, "its config was removed at its end by an earlier version of the service")
      default: isLocal = false
      }
    }
    return isLocal ? fingerprint.value : nil
  }

  private static func incomplete(_ id: Identifier, _ reason: String) -> Fault {
    Fault(.conflict, "the job cannot be run again: \(reason); submit a new job")
  }
}
