import API
import Foundation
import HTTPTypes
import Hummingbird
import Jobs
import Logging
import SystemPackage

/// `/v1/uploads` as tus 1.0.0 has it: uploads that survive a lost connection and a restart of the service.
///
/// Core protocol, creation (with upload, with deferred length), checksum, expiration, termination. A finished upload is one
/// like any other.
struct TusController: Sendable {
  let uploads: any UploadStore
  let partials: any PartialUploadStore
  let folder: DataFolder
  let sessions: UploadSessions
  /// Bytes of the largest upload.
  let limit: Int
  let admission: Admission
  /// How long an unfinished upload is kept after its last bytes.
  let lifetime: Duration?
  let metrics: Metrics

  /// `OPTIONS /v1/uploads` and `/v1/uploads/{upload}`: what the service can do.
  @Sendable func options(_ request: Request, context: ServiceContext) async throws -> Response {
    Response(
      status: .noContent,
      headers: [
        .tusVersion: TusProtocol.version, .tusExtension: TusHeaders.extensions, .tusMaxSize: String(limit),
        .tusChecksumAlgorithm: UploadChecksum.algorithms.joined(separator: ","),
      ])
  }

  /// `POST /v1/uploads`: 201 with `Location`, having taken the body if there is one.
  @Sendable func create(_ request: Request, context: ServiceContext) async throws -> Response {
    try TusHeaders.requireVersion(request.headers)
    try TusHeaders.refuseConcatenation(request.headers)
    let length = try TusHeaders.bytes(.uploadLength, in: request.headers)
    let isDeferred = try self.isDeferred(request)
    guard (length != nil) != isDeferred else {
      throw Fault.malformed("give either Upload-Length or Upload-Defer-Length: 1")
    }
    if let length, length > limit { throw Fault.tooLarge("an upload", limit: limit) }
    try await admit(length ?? 0, context)
    let metadata = request.headers[.uploadMetadata] ?? ""
    let now = Timestamp.now
    let upload = PartialUpload(
      id: .generate(at: now), name: try TusHeaders.fileName(metadata), length: length, metadata: metadata,
      createdAt: now, updatedAt: now, ownership: context.principal.ownership)
    let hasBody = try self.hasBody(request)
    guard let turn = sessions.begin(upload.id, ending: context.hangUp) else { throw Self.locked }
    do {
      try await UploadReceiver.blocking { [folder] in try folder.makePartial(upload.id, upload.name) }
      try await partials.insert(upload, admit: admission.storageCheck(length ?? 0, of: upload.ownership.owner))
      let offset = try await hasBody || length == 0 ? take(request, for: upload, turn, context) : 0
      context.audit(.uploadCreate, "uploads/\(upload.id)")
      context.logger.info("upload created", metadata: ["upload": "\(upload.id)"])
      var response = progress(.created, upload, offset: offset)
      response.headers[.location] = "/v1/uploads/\(upload.id)"
      return response
    } catch {
      // The client never learns the address, so what it sent is of no use.
      _ = try? await partials.delete(upload.id)
      await remove(upload.id)
      // All of it had arrived when the request broke off.
      if case .deleted? = try? await uploads.delete(upload.id) {
        await FileThreads.clear { [folder] in folder.removeUpload(upload.id) }
      }
      throw error
    }
  }

  /// `PATCH /v1/uploads/{upload}`: 204 with the new `Upload-Offset`.
  @Sendable func append(_ request: Request, context: ServiceContext) async throws -> Response {
    try TusHeaders.requireVersion(request.headers)
    guard HeaderParameters(request.headers[.contentType] ?? "").value.lowercased() == TusProtocol.contentType else {
      throw Fault(
        .unsupportedMediaType, "the bytes of an upload are \(TusProtocol.contentType)")
    }
    guard let offset = try TusHeaders.bytes(.uploadOffset, in: request.headers) else {
      throw Fault.malformed("Upload-Offset is missing")
    }
    let id = try identifier(context)
    try UploadController.requirePlain(request.headers)
    if let upload = try await finished(id, context) { return try await answer(request, at: offset, upload, context) }
    try await requireChange(of: find(context), context)
    guard let turn = try await sessions.take(id, ending: context.hangUp) else { throw Self.locked }
    // As it is now that nobody else sends to it; who did may have finished it.
    if let upload = try await finished(id, context) { return try await answer(request, at: offset, upload, context) }
    var upload = try await find(context)
    guard offset == upload.offset else { throw Self.conflict(at: upload.offset) }
    if let length = try TusHeaders.bytes(.uploadLength, in: request.headers) {
      guard upload.length == nil || upload.length == length else {
        throw Fault.malformed("Upload-Length is \(length), but was \(upload.length ?? 0) before")
      }
      guard length >= offset else { throw Fault.malformed("Upload-Length is \(length); \(offset) bytes are here") }
      guard length <= limit else { throw Fault.tooLarge("an upload", limit: limit) }
      if upload.length == nil {
        // What an owner announces counts from then on, as it does at a creation.
        try await admission.space.check(length - offset, for: "the upload")
        let check = admission.storageCheck(length - offset, of: upload.ownership.owner)
        guard try await partials.announce(id, length: length, at: .now, admit: check) else {
          throw PartialUploadReceiver.gone
        }
      }
      upload.length = length
    }
    let taken = try await take(request, for: upload, turn, context)
    upload.updatedAt = .now
    return progress(.noContent, upload, offset: taken)
  }

  /// `HEAD /v1/uploads/{upload}`: how many bytes are on the disk.
  ///
  /// Whoever asks wants to go on. So a request that sends to the upload and is silent is ended first, if the caller might
  /// send as well; else what its connection has brought since the last commit would be sent twice.
  @Sendable func head(_ request: Request, context: ServiceContext) async throws -> Response {
    let id = try identifier(context)
    if let upload = try await finished(id, context) { return Self.head(of: upload) }
    let before = try await find(context)
    if context.principal.maySend(to: before.ownership) {
      _ = try await sessions.take(id, ending: context.hangUp)
      if let upload = try await finished(id, context) { return Self.head(of: upload) }
    }
    let upload = try await find(context)
    var response = progress(.ok, upload, offset: upload.offset)
    if let length = upload.length {
      response.headers[.uploadLength] = String(length)
    } else {
      response.headers[.uploadDeferLength] = "1"
    }
    if !upload.metadata.isEmpty { response.headers[.uploadMetadata] = upload.metadata }
    return response
  }

  private static func head(of upload: Upload) -> Response {
    var response = offset(upload.size, .ok)
    response.headers[.uploadLength] = String(upload.size)
    if !upload.metadata.isEmpty { response.headers[.uploadMetadata] = upload.metadata }
    return response
  }

  /// `DELETE /v1/uploads/{upload}` of an unfinished upload: 204. A request that still sends to it is answered 410.
  @Sendable func delete(_ request: Request, context: ServiceContext) async throws -> Response {
    let id = try identifier(context)
    guard let upload = try await partials.partial(id), context.principal.sees(upload.ownership) else {
      throw Self.notFound(id.description)
    }
    try requireChange(of: upload, context)
    guard try await partials.delete(id) else { throw Self.notFound(id.description) }
    await remove(id)
    context.audit(.uploadDelete, "uploads/\(id)")
    context.logger.info("upload deleted", metadata: ["upload": "\(id)"])
    return Response(status: .noContent)
  }

  /// The unfinished upload with the offset that its file has, which never is more than the record says.
  ///
  /// Throws `Fault` 404 when there is none that the caller may see, and 410 when its time is over and the janitor has not
  /// come yet.
  func find(_ context: ServiceContext) async throws -> PartialUpload {
    let id = try identifier(context)
    guard var upload = try await partials.partial(id), context.principal.sees(upload.ownership) else {
      throw Self.notFound(id.description)
    }
    if let expiry = expiry(of: upload), expiry < .now { throw PartialUploadReceiver.gone }
    let path = folder.partial(id, upload.name)
    do {
      let size = try await FileThreads.run { try OpenFile(path).size }
      upload.offset = min(upload.offset, size)
    } catch Errno.noSuchFileOrDirectory {
      // Deleted or finished between the two looks.
      throw Self.notFound(id.description)
    }
    return upload
  }

  private func finished(_ id: Identifier, _ context: ServiceContext) async throws -> Upload? {
    guard let upload = try await uploads.upload(id), context.principal.sees(upload.ownership) else { return nil }
    return upload
  }

  private func requireChange(of upload: PartialUpload, _ context: ServiceContext) throws {
    try context.principal.requireChange(of: "upload \(upload.id)", upload.ownership)
  }

  /// When an unfinished upload is removed.
  func expiry(of upload: PartialUpload) -> Timestamp? { lifetime.map { upload.updatedAt.advanced(by: $0) } }

  /// Takes the body. Answers the new offset.
  private func take(
    _ request: Request, for upload: PartialUpload, _ turn: UploadSessions.Turn, _ context: ServiceContext
  ) async throws -> Int {
    let announced = request.headers[.contentLength].flatMap { Int($0) }
    if let announced {
      let most = (upload.length ?? limit) - upload.offset
      guard announced <= most else { throw Fault.tooLarge("the rest of this upload", limit: most) }
    }
    let admit: @Sendable (Int) async throws -> Void = { bytes in
      // A known length was counted when it was announced.
      if upload.length == nil {
        try await self.admit(bytes, context)
      } else {
        try await admission.space.check(bytes, for: "the upload")
      }
    }
    try await admit(announced ?? 0)
    let checksum = try request.headers[.uploadChecksum].map { try UploadChecksum($0) }
    let receiver = try await PartialUploadReceiver(
      upload, turn: turn, store: partials, folder: folder, limit: limit, checksum: checksum
    ) { try await admit(0) }
    do {
      var body = BodyReader(request, context)
      while true {
        turn.waits()
        guard let piece = try await body.next() else { break }
        turn.received()
        try await receiver.receive(piece)
      }
      turn.received()
      let finished = try await receiver.end()
      metrics.add(.bytes, ["uploaded"], by: receiver.received)
      if let finished {
        context.logger.info("upload stored", metadata: ["upload": "\(finished.id)", "bytes": "\(finished.size)"])
      }
      return upload.offset + receiver.received
    } catch {
      await receiver.interrupt()
      throw error
    }
  }

  /// Throws `Fault` 507 when there is no room for so many bytes more, of the caller or on the disk.
  private func admit(_ bytes: Int, _ context: ServiceContext) async throws {
    try await admission.requireStorage(bytes, of: context.principal, in: uploads)
    try await admission.space.check(bytes, for: "the upload")
  }

  /// The answer to no bytes for a finished upload: that to the last ones may have been lost. Throws `Fault` for any other
  /// request that does not fit it.
  private func answer(
    _ request: Request, at offset: Int, _ finished: Upload, _ context: ServiceContext
  ) async throws -> Response {
    guard offset == finished.size else { throw Self.conflict(at: finished.size) }
    if let length = try TusHeaders.bytes(.uploadLength, in: request.headers), length != finished.size {
      throw Fault.malformed("Upload-Length is \(length), but the upload is finished with \(finished.size) bytes")
    }
    let checksum = try request.headers[.uploadChecksum].map { try UploadChecksum($0) }
    var body = BodyReader(request, context)
    _ = try await body.collect(limit: 0)
    guard checksum?.matches ?? true else { throw PartialUploadReceiver.mismatch(from: offset) }
    return Self.offset(finished.size)
  }

  private func progress(_ status: HTTPResponse.Status, _ upload: PartialUpload, offset: Int) -> Response {
    var response = Self.offset(offset, status)
    if offset != upload.length, let expiry = expiry(of: upload) {
      response.headers[.uploadExpires] = expiry.httpText
    }
    return response
  }

  private static func offset(_ offset: Int, _ status: HTTPResponse.Status = .noContent) -> Response {
    Response(
      status: status,
      headers: [.uploadOffset: String(offset), .cacheControl: "no-store"])
  }

  private func isDeferred(_ request: Request) throws -> Bool {
    switch request.headers[.uploadDeferLength] {
    case nil: return false
    case "1": return true
    case let value?: throw Fault.malformed("Upload-Defer-Length must be 1, not \(value)")
    }
  }

  /// Whether the request of a creation carries bytes. A body without a type counts as none, since clients send an empty one
  /// in chunks. Throws `Fault` 415 for bytes of another media type.
  private func hasBody(_ request: Request) throws -> Bool {
    let type = request.headers[.contentType].map { HeaderParameters($0).value.lowercased() }
    if type == TusProtocol.contentType { return true }
    let isEmpty = request.headers[.contentLength].map { $0 == "0" } ?? (type == nil)
    guard isEmpty else {
      throw Fault(
        .unsupportedMediaType, "the bytes of an upload are \(TusProtocol.contentType)")
    }
    return false
  }

  private func identifier(_ context: ServiceContext) throws -> Identifier {
    let text = try context.parameters.require("upload")
    guard let id = Identifier(text) else { throw Self.notFound(text) }
    return id
  }

  private func remove(_ id: Identifier) async {
    await FileThreads.clear { [folder] in folder.removePartial(id) }
  }

  private static func notFound(_ id: String) -> Fault { .notFound("no upload has the id \(id)") }

  private static func conflict(at offset: Int) -> Fault {
    Fault(.conflict, "the upload goes on at \(offset); ask for Upload-Offset with HEAD")
  }

  private static let locked = Fault(
    .locked,
    "another request is sending to this upload; ask for Upload-Offset with HEAD and try again", retryAfter: .seconds(1))
}

extension Timestamp {
  /// `Sun, 06 Nov 1994 08:49:37 GMT`, as RFC 9110, section 5.6.7, has it.
  var httpText: String { Date(timeIntervalSince1970: Double(milliseconds) / 1000).formatted(Self.httpStyle) }

  private static let httpStyle = Date.VerbatimFormatStyle(
    format: """
      \(weekday: .abbreviated), \(day: .twoDigits) \(month: .abbreviated) \(year: .padded(4)) \
      \(hour: .twoDigits(clock: .twentyFourHour, hourCycle: .zeroBased)):\(minute: .twoDigits):\(second: .twoDigits) GMT
      """,
    locale: Locale(identifier: "en_US_POSIX"), timeZone: .gmt, calendar: Calendar(identifier: .gregorian))
}
