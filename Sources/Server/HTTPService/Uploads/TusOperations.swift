import API
import Core
import HTTPTypes
import Jobs

/// What the routes of tus do; https://tus.io/protocols/resumable-upload has the whole protocol.
extension Operation {
  private static let version = Parameter(
    name: "Tus-Resumable", place: .header, schema: .choice([TusProtocol.version]), summary: "The version; needed.")
  private static let offset = Parameter(
    name: "Upload-Offset", place: .header, schema: .count, summary: "Where the bytes belong; needed.")
  private static let length = Parameter(
    name: "Upload-Length", place: .header, schema: .count, summary: "Bytes of the whole.")
  private static let checksum = Parameter(
    name: "Upload-Checksum", place: .header, schema: .string(),
    summary: "`sha1` or `sha256`, a space, the digest of the body in base64.")

  private static let bytes = Content(mediaType: TusProtocol.contentType, schema: .bytes)
  private static let received = Answer(
    status: 204, summary: "The bytes are on the disk.",
    headers: ["Upload-Offset", "Upload-Expires", "Cache-Control"])
  private static let refusalsOfBytes = [
    Refusal(.conflict, .conflict), Refusal(.gone, .gone),
    Refusal(.contentTooLarge, .tooLarge), Refusal(.unsupportedMediaType, .unsupportedMediaType),
    Refusal(.locked, .locked), Refusal(.checksumMismatch, .checksumMismatch),
    Refusal(.insufficientStorage, .diskFull, .limitReached),
  ]

  static let describeUploads = Operation(
    id: "describeUploads", group: .uploads,
    summary: "What the service can do of tus, a protocol for resumable uploads.",
    answers: [
      Answer(
        status: 204, summary: "In the headers.",
        headers: ["Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm"])
    ])

  static let createUpload = Operation(
    id: "createUpload", group: .uploads, summary: "Begin an upload that can be interrupted (tus).",
    details: "With a body its first bytes are taken at once.",
    parameters: [
      version, length,
      Parameter(
        name: "Upload-Defer-Length", place: .header, schema: .choice(["1"]), summary: "The length is said later."),
      Parameter(
        name: "Upload-Metadata", place: .header, schema: .string(),
        summary: "Names, each with a value in base64, separated by commas; `filename` is used."), checksum,
    ],
    body: [bytes], needsBody: false,
    answers: [
      Answer(
        status: 201, summary: "The upload is created.",
        headers: ["Location", "Upload-Offset", "Upload-Expires", "Cache-Control"])
    ],
    refusals: refusalsOfBytes + [Refusal(.unprocessableContent, .invalidRequest)])

  static let uploadOffset = Operation(
    id: "uploadOffset", group: .uploads, summary: "How many bytes of an upload are on the disk.",
    parameters: [version],
    answers: [
      Answer(
        status: 200, summary: "In the headers.",
        headers: ["Upload-Offset", "Upload-Length", "Upload-Defer-Length", "Upload-Metadata", "Upload-Expires"])
    ],
    refusals: [Refusal(.gone, .gone)])

  static let appendUpload = Operation(
    id: "appendUpload", group: .uploads, summary: "Send bytes to an upload (tus).",
    details: "What arrived counts even if the connection breaks; with a checksum all bytes count or none.",
    parameters: [version, offset, length, checksum], body: [bytes], needsBody: false, answers: [received],
    refusals: refusalsOfBytes)
}

extension HTTPResponse.Status {
  /// RFC 4918, section 11.3.
  static let locked = HTTPResponse.Status(code: 423, reasonPhrase: "Locked")
  /// Of the tus protocol.
  static let checksumMismatch = HTTPResponse.Status(code: 460, reasonPhrase: "Checksum Mismatch")
}
