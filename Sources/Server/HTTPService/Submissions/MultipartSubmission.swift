import API
import Core
import Crypto
import Foundation
import Jobs
import NIOCore

/// Reads a submission that is multipart/form-data. Files go to disk as they arrive.
///
/// Parts with a file name are `config` and `checkpoint` files, the latter as often as there are shards, both for each
/// component of a composed model, as `image_model/config.json`. Parts without are the plain fields; `options`, `webhook`,
/// and `config` or `checkpoint` without a file name, are JSON.
struct MultipartSubmission: Sendable {
  let folder: DataFolder
  /// Bytes of one file.
  let fileLimit: Int
  /// Bytes of all fields that are no files.
  let fieldLimit: Int
  /// Asked while files arrive, with the bytes of all of them so far.
  let admit: UploadReceiver.Admit
  /// False when only the digest of the content is asked for: then files are hashed and not stored.
  var keepsFiles = true

  /// Reads the whole body. When it throws, no file is left.
  func read(_ body: BodyReader, boundary: String) async throws -> SubmissionReader.Received {
    var uploads: [Upload] = []
    var receiver: UploadReceiver?
    do {
      let submission = try await read(body, boundary: boundary, uploads: &uploads, receiver: &receiver)
      return SubmissionReader.Received(submission: submission, uploads: uploads)
    } catch {
      await receiver?.discard()
      let ids = uploads.map(\.id)
      await FileThreads.clear { [folder] in for id in ids { folder.removeUpload(id) } }
      if let malformed = error as? MultipartParser.Malformed {
        throw Fault.malformed("the body is not valid multipart/form-data: \(malformed.reason)")
      }
      throw error
    }
  }

  private func read(
    _ body: BodyReader, boundary: String, uploads: inout [Upload], receiver: inout UploadReceiver?
  ) async throws -> JobSubmission {
    var submission = JobSubmission()
    var parser = MultipartParser(boundary: boundary)
    var body = body
    var field = ""
    var path = ""
    var text = ByteBuffer()
    var fieldBytes = 0
    var hashed: HashedFile?
    while let piece = try await body.next() {
      parser.append(piece)
      while let event = try parser.next() {
        switch event {
        case .begin(let name, let filename):
          field = name
          text = ByteBuffer()
          if let filename {
            let file = try fileName(filename, field: name)
            path = filename
            if keepsFiles {
              let before = uploads.reduce(0) { $0 + $1.size }
              receiver = try await UploadReceiver(name: file, folder: folder, limit: fileLimit) { [admit] bytes in
                try await admit(before + bytes)
              }
            } else {
              hashed = HashedFile(name: file)
            }
          }
        case .body(let bytes):
          if let receiver {
            try await receiver.receive(bytes)
          } else if hashed != nil {
            try await hashed?.receive(bytes)
          } else {
            fieldBytes += bytes.readableBytes
            guard fieldBytes <= fieldLimit else { throw Fault.tooLarge("all fields together", limit: fieldLimit) }
            text.writeImmutableBuffer(bytes)
          }
        case .end:
          if let open = receiver {
            let upload = try await open.finish()
            receiver = nil
            uploads.append(upload)
            submission.add(upload, path: path, to: field)
            submission.record("file", field, path, upload.sha256)
          } else if let file = hashed {
            hashed = nil
            submission.record("file", field, path, try await file.finish())
          } else {
            let (data, name, before) = (Data(text.readableBytesView), field, submission)
            submission = try await LongWork.run(on: data.count) {
              var after = before
              try add(data, field: name, to: &after)
              return after
            }
          }
        }
      }
    }
    guard parser.isComplete else { throw Fault.malformed("the multipart body has no closing boundary") }
    return submission
  }

  /// A file part that is not stored. Gathers bytes and hashes them off the cooperative pool, as `UploadReceiver` does.
  private struct HashedFile: Sendable {
    let name: FileName
    private var hash = SHA256()
    private var pending = ByteBuffer()

    private static let batch = 1 << 20

    init(name: FileName) { self.name = name }

    mutating func receive(_ bytes: ByteBuffer) async throws {
      pending.writeImmutableBuffer(bytes)
      if pending.readableBytes >= Self.batch { try await flush() }
    }

    /// The digest of all bytes in hexadecimal.
    consuming func finish() async throws -> String {
      try await flush()
      return hash.finalize().hexadecimal
    }

    private mutating func flush() async throws {
      let (before, bytes) = (hash, pending)
      pending = ByteBuffer()
      hash = try await LongWork.run(on: bytes.readableBytes) {
        var after = before
        bytes.withUnsafeReadableBytes { after.update(bufferPointer: $0) }
        return after
      }
    }
  }

  private func fileName(_ filename: String, field: String) throws -> FileName {
    guard field == "config" || field == "checkpoint" else {
      throw Fault.invalid(field: field, "only config and checkpoint can be files")
    }
    // What a path means depends on the model, which may follow: `ComponentNames` decides.
    let last = filename.split(whereSeparator: { $0 == "/" || $0 == "\\" }).last.map(String.init) ?? filename
    if let name = FileName(last) { return name }
    guard last != filename, let name = FileName("file") else {
      throw Fault.invalid(field: field, "\(field): \(FileName.rule)")
    }
    return name
  }

  private func add(_ data: Data, field: String, to submission: inout JobSubmission) throws {
    guard let text = String(validating: data, as: UTF8.self) else {
      throw Fault.invalid(field: field, "\(field) is not UTF-8")
    }
    submission.record("field", field, text)
    switch field {
    case "config", "checkpoint":
      guard let value = try? JSONTree.parse(data) else {
        throw Fault.invalid(field: field, "\(field) must be a file (curl -F \(field)=@FILE) or an input as JSON")
      }
      submission.add(value, text: text[...], to: field)
    case "options", "webhook":
      guard let value = try? JSONTree.parse(data) else {
        throw Fault.invalid(field: field, "\(field) must be a JSON object")
      }
      submission.add(value, field: field)
    default:
      submission.add(.string(text), field: field)
    }
  }
}
