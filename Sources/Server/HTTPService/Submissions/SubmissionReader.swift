import API
import Core
import Foundation
import HTTPTypes
import Hummingbird
import Jobs

/// Reads what a client submits, as JSON or as multipart/form-data: a job, or the question what a job would do.
struct SubmissionReader: Sendable {
  let data: DataFolder
  /// Bytes of one file of a multipart submission.
  let fileLimit: Int
  let admission: Admission
  let uploads: any UploadStore

  /// A submission that is not checked yet.
  struct Received {
    var submission: JobSubmission
    /// Files that came with it, in their place on disk, without records. Whoever does not want them discards them.
    var uploads: [Upload] = []
  }

  /// Bytes of a JSON submission, and of the fields of a multipart one: an inline config, and room for the inputs of a
  /// checkpoint.
  static let fieldLimit = 2 * JobSubmission.inlineLimit

  /// Reads the whole body. With `keepsFiles` false, files are only digested.
  ///
  /// Throws `Problem` 400, 413, 415, 422, or 507 when the caller or the disk has no room for the files; then no file is left.
  func read(_ request: Request, _ context: ServiceContext, keepsFiles: Bool) async throws -> Received {
    let contentType = request.headers[.contentType] ?? ""
    if let boundary = MultipartParser.boundary(inContentType: contentType) {
      let admit: @Sendable (Int, Int) async throws -> Void = { [admission, uploads] bytes, more in
        try await admission.requireStorage(bytes, of: context.principal, in: uploads)
        try await admission.space.check(more, for: "the submission")
      }
      if keepsFiles {
        let announced = request.headers[.contentLength].flatMap { Int($0) } ?? 0
        // How much of it is files is not known yet.
        try await admit(max(0, announced - Self.fieldLimit), announced)
      }
      let form = MultipartSubmission(
        folder: data, fileLimit: fileLimit, fieldLimit: Self.fieldLimit, admit: { try await admit($0, 0) },
        keepsFiles: keepsFiles)
      var received = try await form.read(BodyReader(request, context), boundary: boundary)
      for index in received.uploads.indices { received.uploads[index].ownership = context.principal.ownership }
      return received
    }
    if HeaderParameters(contentType).value.lowercased() == "application/json" {
      var body = BodyReader(request, context)
      let bytes = try await body.collect(limit: Self.fieldLimit)
      return Received(
        submission: try await LongWork.run(on: bytes.readableBytes) {
          try JobSubmission(json: Data(bytes.readableBytesView))
        })
    }
    throw Problem(
      .unsupportedMediaType,
      "send application/json, or multipart/form-data with a boundary",
      headers: [.accept: "application/json, multipart/form-data"])
  }

  /// Removes files that came with a submission.
  func discard(_ uploads: [Upload]) async {
    let ids = uploads.map(\.id)
    guard !ids.isEmpty else { return }
    await FileThreads.clear { [data] in for id in ids { data.removeUpload(id) } }
  }
}
