import Core
import HTTPTypes

/// The stable, machine-readable reason in every error answer. Bounded, so that clients may switch over it.
struct ProblemCode: Hashable, Sendable, Codable {
  /// Snake case; part of the contract, never reworded.
  let rawValue: String

  private init(_ rawValue: String) { self.rawValue = rawValue }

  /// A reason for which a conversion fails.
  init(_ kind: ErrorKind) { rawValue = kind.rawValue }

  init(from decoder: any Decoder) throws { rawValue = try decoder.singleValueContainer().decode(String.self) }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(rawValue)
  }

  /// The request is malformed HTTP, JSON or multipart.
  static let malformedRequest = ProblemCode("malformed_request")
  /// The request is well formed, but a field is missing, unknown or has a wrong value.
  static let invalidRequest = ProblemCode("invalid_request")
  /// The request has no valid access token.
  static let unauthorized = ProblemCode("unauthorized")
  /// The access token lacks a scope, or the resource belongs to somebody else.
  static let forbidden = ProblemCode("forbidden")
  /// No such path, job, upload, model or output.
  static let notFound = ProblemCode("not_found")
  /// The path exists, the method does not.
  static let methodNotAllowed = ProblemCode("method_not_allowed")
  /// The state of the resource does not allow the request.
  static let conflict = ProblemCode("conflict")
  /// Another request is busy with the resource; the same request can be sent again soon.
  static let locked = ProblemCode("locked")
  /// The resource is gone for good.
  static let gone = ProblemCode("gone")
  /// The client speaks another version of the upload protocol.
  static let unsupportedProtocol = ProblemCode("unsupported_protocol")
  /// The file is not the one that the client has seen.
  static let preconditionFailed = ProblemCode("precondition_failed")
  /// The bytes do not hash to what the client announced.
  static let checksumMismatch = ProblemCode("checksum_mismatch")
  /// The body is larger than the service takes.
  static let tooLarge = ProblemCode("too_large")
  /// A limit of the operator is reached; `limit` names it.
  static let limitReached = ProblemCode("limit_reached")
  /// The body is of a media type that the resource does not read.
  static let unsupportedMediaType = ProblemCode("unsupported_media_type")
  /// The range lies outside the file.
  static let rangeNotSatisfiable = ProblemCode("range_not_satisfiable")
  /// The service cannot do this at the moment; `Retry-After` says when to try again.
  static let unavailable = ProblemCode("unavailable")
  /// A fault of the service.
  static let `internal` = ProblemCode(.internal)
}

extension HTTPResponse.Status {
  /// RFC 4918, section 11.5.
  static let insufficientStorage = HTTPResponse.Status(code: 507, reasonPhrase: "Insufficient Storage")
}

extension ErrorKind {
  /// The HTTP status that carries this kind, in an answer and in the `error` of a job.
  var status: HTTPResponse.Status {
    switch self {
    case .usage, .unknownModel, .unsupportedPair, .configNotConvertible, .keysUnmatched, .stateDictMismatch,
      .unreadableInput, .hostileInput, .sourceGated, .sourceNotFound, .tokenRefused, .revisionNotFound, .fileNotFound:
      .unprocessableContent
    case .fetchFailed: .badGateway
    case .diskFull: .insufficientStorage
    case .cancelled: .conflict
    case .outputFailed, .internal: .internalServerError
    }
  }

  /// The short, constant text for people.
  var title: String {
    switch self {
    case .usage: "The request contradicts itself"
    case .unknownModel: "Unknown model"
    case .unsupportedPair: "Unsupported pair of formats"
    case .configNotConvertible: "The config cannot be converted"
    case .keysUnmatched: "Keys of the checkpoint match no rule"
    case .stateDictMismatch: "The checkpoint does not fit the model"
    case .unreadableInput: "An input cannot be read"
    case .hostileInput: "An input breaks the rules of its format"
    case .outputFailed: "The output cannot be written"
    case .diskFull: "The disk is full"
    case .fetchFailed: "A download failed"
    case .sourceGated: "The owner of the repository has to grant access"
    case .sourceNotFound: "The repository does not exist or is private"
    case .tokenRefused: "The hub does not take the token"
    case .revisionNotFound: "The repository has no such revision"
    case .fileNotFound: "The repository has no such file"
    case .cancelled: "Cancelled"
    case .internal: "Internal error"
    }
  }
}
