import API
import Core
import Foundation
import HTTPTypes
import Hummingbird
import Inputs
import Jobs
import Logging
import NIOCore
import SystemPackage

/// `/v1/jobs`: submitting, following, cancelling and downloading.
struct JobController: Sendable {
  let store: any JobStore
  let uploads: any UploadStore
  let models: ModelDirectory
  let data: DataFolder
  let running: RunningJobs
  let signal: WorkSignal
  let follower: JobFollower
  let queue: QueueOrder
  let reader: SubmissionReader
  let admission: Admission
  let reporter: JobReporter
  let hub: HubSubmissions
  let links: DownloadLinks

  /// `POST /v1/jobs`.
  @Sendable func submit(_ request: Request, context: ServiceContext) async throws -> Response {
    let key = try IdempotencyKey.read(request.headers)
    // A submission that comes again needs no room, and its uploads may be gone: only its digest counts.
    var known: (job: Job, digest: String)?
    if let key { known = try await store.job(ofKey: key, owner: context.principal.ownership.owner) }
    let received = try await reader.read(request, context, keepsFiles: known == nil)
    var submission = received.submission
    if let known {
      guard known.digest == submission.digest else { throw Self.keyTaken }
      return try await answer(.repeated(known.job), context)
    }
    reporter.moved(received.uploads.reduce(0) { $0 + $1.size }, .uploaded)
    let insertion: Insertion
    do {
      let job = try await submission.job(
        models: models, uploads: uploads, hub: hub, for: context.principal)
      insertion = try await insert(
        job, bringing: received.uploads, key: key.map { IdempotencyKey(key: $0, digest: submission.digest) },
        reuse: submission.reuses
          ? JobReuse(
            reach: context.principal.reach, share: { data.share($0.outputs, of: $0.id, with: job.id) },
            undo: { data.removeOutputs(of: job.id) }) : nil)
    } catch {
      await reader.discard(received.uploads)
      switch error {
      case JobStoreError.unknownUpload(let id):
        throw Fault.invalid(field: "checkpoint", "no finished upload has the id \(id)")
      case JobStoreError.keyTaken:
        throw Self.keyTaken
      default:
        throw error
      }
    }
    // What came with it again serves no job.
    switch insertion {
    case .repeated: await reader.discard(received.uploads)
    case .added(let job): if job.isReused { await reader.discard(received.uploads) }
    }
    return try await answer(insertion, context)
  }

  /// Adds a job if there is room for it. Throws what the store throws, and `Fault` 429 and 507.
  func insert(_ job: Job, bringing uploads: [Upload], key: IdempotencyKey?, reuse: JobReuse?) async throws -> Insertion
  {
    let bytes = Self.expectedOutput(of: job)
    // Space is freed before the transaction: it deletes files, and during a transaction nobody else can write.
    _ = try? await FileThreads.run { [admission] in try admission.space.room(for: bytes) }
    return try await store.insert(
      job, bringing: uploads, key: key, reuse: reuse,
      admit: { [admission] load in try admission.admit(job, needing: bytes, load) })
  }

  static let keyTaken = Fault.invalid(
    field: "Idempotency-Key", "Idempotency-Key belongs to a job with another content; choose another key")

  /// Bytes that the outputs will take about: as many as the inputs, or twice as many where halves become floats; the
  /// plan knows better, but only once the inputs are read. 0 for downloads, of which nothing is known yet.
  private static func expectedOutput(of job: Job) -> Int {
    let bytes = job.inputBytes ?? 0
    return job.options.dtype == .float32 ? 2 * bytes : bytes
  }

  /// 202 for a job that waits, 200 for one that was submitted before or has succeeded at once.
  func answer(_ insertion: Insertion, _ context: ServiceContext) async throws -> Response {
    let job: Job
    var status = HTTPResponse.Status.ok
    switch insertion {
    case .repeated(let known):
      job = known
    case .added(let new):
      job = new
      context.audit(.jobSubmit, "jobs/\(job.id)")
      if job.isReused {
        reporter.ended(job, as: job.status, after: nil)
        context.logger.info("job reused", metadata: ["job": "\(job.id)", "model": "\(job.model)"])
      } else {
        status = .accepted
        signal.notify()
        context.logger.info("job queued", metadata: ["job": "\(job.id)", "model": "\(job.model)"])
      }
    }
    var response = try JSONBody.response(await document(job), status: status)
    response.headers[.location] = "/v1/jobs/\(job.id)"
    return response
  }

  /// `GET` and `HEAD /v1/jobs/{job}`, with `ETag`.
  ///
  /// `Prefer: wait=SECONDS` holds the answer back until the job differs from `If-None-Match` or, without that header,
  /// until it has ended; at most `JobFollower.longestWait`.
  @Sendable func get(_ request: Request, context: ServiceContext) async throws -> Response {
    let id = try identifier(context)
    let principal = context.principal
    let known = request.headers[.ifNoneMatch]
    let preference = Preference(request.headers[.prefer], limit: JobFollower.longestWait)
    let found = try await follower.wait(for: id, atMost: .seconds(preference?.wait ?? 0)) { snapshot in
      // Nobody waits for what is not there for them.
      guard principal.sees(snapshot.job.ownership) else { return true }
      return known == nil ? snapshot.job.status.isEnded : !snapshot.tag.matchesAny(of: known)
    }
    guard let snapshot = found, principal.sees(snapshot.job.ownership) else { throw Self.notFound(id.description) }
    var response = JSONBody.response(snapshot.json, tagged: snapshot.tag, to: request)
    if let preference { response.headers[.preferenceApplied] = "wait=\(preference.wait)" }
    return response
  }

  /// `GET /v1/jobs/{job}/events`: Server-Sent Events. 204, which ends reconnecting, when the client has seen the end.
  @Sendable func events(_ request: Request, context: ServiceContext) async throws -> Response {
    let id = try identifier(context)
    guard let snapshot = try await follower.snapshot(id), context.principal.sees(snapshot.job.ownership) else {
      throw Self.notFound(id.description)
    }
    let last = request.headers[.lastEventID]
    if snapshot.job.status.isEnded, last == snapshot.tag.eventID { return Response(status: .noContent) }
    return Response(
      status: .ok,
      headers: [
        .contentType: "text/event-stream", .cacheControl: "no-store",
        // nginx would gather events to whole buffers.
        .xAccelBuffering: "no",
      ],
      body: follower.events(of: id, after: last)
    ).watched(by: context)
  }

  /// `DELETE /v1/jobs/{job}`: 200 with the cancelled job, or 204 when an ended job was removed with its files.
  @Sendable func delete(_ request: Request, context: ServiceContext) async throws -> Response {
    let id = try await findOwn(context)
    switch try await store.cancel(id, at: .now) {
    case .cancelled(let job):
      return try await cancelled(job, context)
    case .ended:
      guard let uploads = try await store.delete(id) else { throw Self.notFound(id.description) }
      await blocking {
        data.removeOutputs(of: id)
        for upload in uploads { data.removeUpload(upload) }
      }
      context.audit(.jobDelete, "jobs/\(id)")
      context.logger.info("job deleted", metadata: ["job": "\(id)"])
      return Response(status: .noContent)
    case .missing:
      throw Self.notFound(id.description)
    }
  }

  /// `POST /v1/jobs/{job}/cancel`: 200 with the cancelled job; 409 when it ended otherwise. Never deletes, so that a client
  /// which cancels a job in the moment of its success does not lose the outputs.
  @Sendable func cancel(_ request: Request, context: ServiceContext) async throws -> Response {
    let id = try await findOwn(context)
    switch try await store.cancel(id, at: .now) {
    case .cancelled(let job):
      return try await cancelled(job, context)
    case .ended(let job):
      guard job.status == .cancelled else {
        throw Fault(.conflict, "job \(id) has \(job.status.rawValue) and cannot be cancelled")
      }
      return try JSONBody.response(await document(job))
    case .missing:
      throw Self.notFound(id.description)
    }
  }

  private func cancelled(_ job: Job, _ context: ServiceContext) async throws -> Response {
    running.stop(job.id, .cancelled)
    reporter.ended(job, as: .cancelled, after: nil)
    context.audit(.jobCancel, "jobs/\(job.id)")
    context.logger.info("job cancelled", metadata: ["job": "\(job.id)"])
    return try JSONBody.response(await document(job))
  }

  /// `PUT` and `DELETE /v1/jobs/{job}/pin`: keeps the job from expiring, or no longer.
  @Sendable func pin(_ request: Request, context: ServiceContext) async throws -> Response {
    let id = try await findOwn(context)
    let isPinned = request.method == .put
    guard let job = try await store.pin(id, isPinned) else { throw Self.notFound(id.description) }
    context.audit(isPinned ? .jobPin : .jobUnpin, "jobs/\(id)")
    return try JSONBody.response(await document(job))
  }

  /// `GET` and `HEAD /v1/jobs/{job}/outputs/{output}`, and the same of a component: `/outputs/{component}/{output}`.
  @Sendable func download(_ request: Request, context: ServiceContext) async throws -> Response {
    let job = try await find(context)
    let output = try output(of: job, context)
    return try await unlessDeleted(job) {
      try await FileDownload(
        path: data.output(job.id, output.name), name: output.name, size: output.size, sha256: output.sha256
      ).response(to: request) { [reporter] in reporter.moved($0, .downloaded) }.watched(by: context)
    }
  }

  /// `GET` and `HEAD /v1/jobs/{job}/outputs`: all outputs as one tar archive.
  @Sendable func downloadAll(_ request: Request, context: ServiceContext) async throws -> Response {
    let job = try await find(context)
    guard job.status == .succeeded, let name = FileName("\(job.id).tar") else {
      throw Fault.notFound("job \(job.id) is \(job.status.rawValue) and has no outputs")
    }
    return try await unlessDeleted(job) {
      try await TarDownload(
        name: name,
        entries: job.outputs.map { .init(path: data.output(job.id, $0.name), name: $0.name, size: $0.size) },
        time: job.finishedAt ?? job.createdAt
      ).response(to: request) { [reporter] in reporter.moved($0, .downloaded) }.watched(by: context)
    }
  }

  /// The output that the path names. Throws `Fault` 404.
  func output(of job: Job, _ context: ServiceContext) throws -> JobOutput {
    let file = try context.parameters.require("output")
    let name = context.parameters.get("component").map { "\($0)/\(file)" } ?? file
    guard let output = job.outputs.first(where: { $0.name.description == name }) else {
      throw Fault.notFound("job \(job.id) is \(job.status.rawValue) and has no output \(name)")
    }
    return output
  }

  /// What `download` answers. A file that is gone is no fault when its job is gone as well, deleted or expired since the
  /// record was read: then `Fault` 404.
  private func unlessDeleted(_ job: Job, _ download: () async throws -> Response) async throws -> Response {
    do {
      return try await download()
    } catch Errno.noSuchFileOrDirectory {
      guard try await store.job(job.id) != nil else { throw Self.notFound(job.id.description) }
      throw Fault(
        .internal, "an output of job \(job.id) cannot be read", cause: "a file is missing")
    }
  }

  func document(_ job: Job) async throws -> JobDocument {
    JobDocument(
      job: job, live: job.status == .running ? running.progress(of: job.id) : nil,
      queuePosition: try await queue.position(of: job))
  }

  func identifier(_ context: ServiceContext) throws -> Identifier {
    let text = try context.parameters.require("job")
    guard let id = Identifier(text) else { throw Self.notFound(text) }
    return id
  }

  /// The job of the path. Throws `Fault` 404 also when it may not be seen: whether it exists is nobody else's business.
  func find(_ context: ServiceContext) async throws -> Job {
    let id = try identifier(context)
    guard let job = try await store.job(id), context.principal.sees(job.ownership) else {
      throw Self.notFound(id.description)
    }
    return job
  }

  /// The id of the job of the path. Throws `Fault` 403 when it may be seen and not changed; whom a job belongs to
  /// never changes, so what is checked here holds later.
  func findOwn(_ context: ServiceContext) async throws -> Identifier {
    let job = try await find(context)
    try context.principal.requireChange(of: "job \(job.id)", job.ownership)
    return job.id
  }

  private func blocking(_ work: @escaping @Sendable () -> Void) async {
    _ = try? await FileThreads.run(work)
  }

  static func notFound(_ id: String) -> Fault { .notFound("no job has the id \(id)") }
}
