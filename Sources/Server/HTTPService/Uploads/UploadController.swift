import API
import HTTPTypes
import Hummingbird
import Jobs
import Logging

/// `/v1/uploads`: files that jobs refer to.
struct UploadController: Sendable {
  let store: any UploadStore
  /// Knows the unfinished ones.
  let tus: TusController
  let folder: DataFolder
  /// Bytes of the largest upload.
  let limit: Int
  let admission: Admission
  let metrics: Metrics

  /// `PUT /v1/uploads/{upload}`, where the segment is the file name.
  @Sendable func put(_ request: Request, context: ServiceContext) async throws -> Response {
    guard let name = ComponentNames.upload(try context.parameters.require("upload")) else {
      throw Fault.invalid(field: "filename", ComponentNames.rule)
    }
    try Self.requirePlain(request.headers)
    // RFC 9110, section 14.5: a server that knows no partial PUT must not take a part for the whole.
    guard request.headers[.contentRange] == nil else {
      throw Fault.malformed("PUT takes whole files; send parts by tus, see OPTIONS /v1/uploads")
    }
    if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > limit {
      throw Fault.tooLarge("an upload", limit: limit)
    }
    // Without an announced length: whatever fits above the floor, and 507 later if it does not.
    let announced = request.headers[.contentLength].flatMap { Int($0) } ?? 0
    try await admission.requireStorage(announced, of: context.principal, in: store)
    try await admission.space.check(announced, for: "the upload")
    let receiver = try await UploadReceiver(name: name, folder: folder, limit: limit) { bytes in
      try await admission.requireStorage(bytes, of: context.principal, in: store)
      try await admission.space.check(0, for: "the upload")
    }
    var upload: Upload
    do {
      var body = BodyReader(request, context)
      while let piece = try await body.next() { try await receiver.receive(piece) }
      upload = try await receiver.finish()
    } catch {
      await receiver.discard()
      throw error
    }
    upload.ownership = context.principal.ownership
    do {
      // Again with what came, and with what others have sent meanwhile.
      try await store.insert(upload, admit: admission.storageCheck(upload.size, of: upload.ownership.owner))
    } catch {
      await remove(upload.id)
      throw error
    }
    metrics.add(.bytes, ["uploaded"], by: upload.size)
    context.logger.info("upload stored", metadata: ["upload": "\(upload.id)", "bytes": "\(upload.size)"])
    context.audit(.uploadCreate, "uploads/\(upload.id)")
    let document = UploadDocument(upload)
    var response = try JSONBody.response(document, status: .created)
    response.headers[.location] = document.url
    return response
  }

  /// Throws `Problem` 415 for a body that is coded: what would be stored is not what the client means.
  static func requirePlain(_ headers: HTTPFields) throws {
    guard let coding = headers[.contentEncoding], coding.lowercased() != "identity" else { return }
    throw Problem(
      .unsupportedMediaType, "a body is taken without Content-Encoding, not as \(coding)",
      headers: [.acceptEncoding: "identity"])
  }

  /// `GET /v1/uploads`: uploads that the caller sees, finished or not, newest first.
  @Sendable func list(_ request: Request, context: ServiceContext) async throws -> Response {
    var limit = 50
    var cursor: Identifier?
    var findings = Findings()
    for (name, value) in request.uri.queryParameters {
      switch name {
      case "limit":
        limit = Int(value) ?? 0
        if !(1...200).contains(limit) {
          findings.append(.init(field: "limit", "limit must be a number from 1 to 200"))
        }
      case "cursor":
        cursor = Identifier(String(value))
        if cursor == nil { findings.append(.init(field: "cursor", "cursor must be a next_cursor of a former page")) }
      default: findings.append(.init(field: String(name), "there is no query parameter \(name)"))
      }
    }
    guard findings.isEmpty else { throw Fault.invalid(findings) }
    let reach = context.principal.reach
    // One more than asked for tells whether there is a next page.
    let finished = try await store.uploads(within: reach, after: cursor, limit: limit + 1)
    let unfinished = try await tus.partials.partials(within: reach, after: cursor, limit: limit + 1)
    let all =
      (finished.map { UploadDocument($0) } + unfinished.map { UploadDocument($0, expiresAt: tus.expiry(of: $0)) })
      .sorted { $0.id.description > $1.id.description }
    let page = Array(all.prefix(limit))
    return try JSONBody.response(UploadListDocument(uploads: page, nextCursor: all.count > limit ? page.last?.id : nil))
  }

  /// `GET /v1/uploads/{upload}`, finished or not.
  @Sendable func get(_ request: Request, context: ServiceContext) async throws -> Response {
    if let upload = try await find(context) { return try JSONBody.response(UploadDocument(upload)) }
    let upload = try await tus.find(context)
    return try JSONBody.response(UploadDocument(upload, expiresAt: tus.expiry(of: upload)))
  }

  /// `DELETE /v1/uploads/{upload}`, finished or not.
  @Sendable func delete(_ request: Request, context: ServiceContext) async throws -> Response {
    guard let upload = try await find(context) else { return try await tus.delete(request, context: context) }
    try context.principal.requireChange(of: "upload \(upload.id)", upload.ownership)
    switch try await store.delete(upload.id) {
    case .deleted:
      await remove(upload.id)
      context.audit(.uploadDelete, "uploads/\(upload.id)")
      context.logger.info("upload deleted", metadata: ["upload": "\(upload.id)"])
      return Response(status: .noContent)
    case .inUse(let job):
      throw Fault(.conflict, "job \(job) needs this upload; cancel the job or wait for its end")
    case .missing:
      throw Self.notFound(upload.id.description)
    }
  }

  /// The finished upload; nil when there is none that the caller may see.
  private func find(_ context: ServiceContext) async throws -> Upload? {
    guard let id = Identifier(try context.parameters.require("upload")), let upload = try await store.upload(id),
      context.principal.sees(upload.ownership)
    else { return nil }
    return upload
  }

  private func remove(_ id: Identifier) async {
    await FileThreads.clear { [folder] in folder.removeUpload(id) }
  }

  private static func notFound(_ id: String) -> Fault { .notFound("no upload has the id \(id)") }
}
