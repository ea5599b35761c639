import API
import HTTPTypes
import Hummingbird

/// A fault as clients of the REST API see it: a status, header fields and `application/problem+json` after RFC 9457.
///
/// Everything that depends on the code of a fault stands in this file, in switches without a default. Handlers throw a
/// `Problem` only where the answer has a status or a field of its own, and a `Fault` otherwise.
struct Problem: HTTPResponseError, Sendable {
  let fault: Fault
  let status: HTTPResponse.Status
  /// Beside `Retry-After`, which follows from the fault.
  var headers: HTTPFields

  /// The problem of a fault. `status` is another than that of the code where the resource gives it another meaning.
  init(_ fault: Fault, status: HTTPResponse.Status? = nil, headers: HTTPFields = [:]) {
    self.fault = fault
    self.status = status ?? fault.status
    self.headers = headers
    if let pause = fault.retryAfter {
      let (seconds, rest) = pause.components
      self.headers[.retryAfter] = "\(seconds + (rest > 0 ? 1 : 0))"
    }
  }

  /// A problem with header fields of its own.
  init(_ code: FaultCode, _ message: String, headers: HTTPFields) {
    self.init(Fault(code, message), headers: headers)
  }

  func response(from request: Request, context: some RequestContext) throws -> Response {
    var response = try JSONBody.response(ProblemDocument(fault, status: status), status: status)
    response.headers[.contentType] = "application/problem+json"
    for field in headers { response.headers[field.name] = field.value }
    return response
  }
}

/// The JSON of a problem, with `code`, `diagnostics` and `limit` added to the members of RFC 9457. The same document stands in
/// the `error` field of a failed job.
struct ProblemDocument: Encodable, Sendable {
  let type: String
  let title: String
  let status: Int
  let detail: String
  let code: FaultCode
  let diagnostics: [Finding]
  let limit: Fault.Limit?

  init(_ fault: Fault) { self.init(fault, status: fault.status) }

  init(_ fault: Fault, status: HTTPResponse.Status) {
    type = "urn:zooport:problem:\(fault.code.rawValue)"
    title = fault.code.title
    self.status = status.code
    detail = fault.message
    code = fault.code
    diagnostics = fault.findings
    limit = fault.limit
  }
}

extension Fault {
  /// The HTTP status that carries this fault, in an answer and in the `error` of a job.
  var status: HTTPResponse.Status {
    switch code {
    case .malformedRequest: .badRequest
    case .invalidRequest, .usage, .unknownModel, .unsupportedPair, .configNotConvertible, .keysUnmatched,
      .stateDictMismatch, .unreadableInput, .hostileInput, .sourceGated, .sourceNotFound, .tokenRefused,
      .revisionNotFound, .fileNotFound:
      .unprocessableContent
    case .unauthorized: .unauthorized
    case .forbidden: .forbidden
    case .notFound: .notFound
    case .methodNotAllowed: .methodNotAllowed
    case .conflict, .cancelled: .conflict
    case .locked: .locked
    case .gone: .gone
    case .unsupportedProtocol, .preconditionFailed: .preconditionFailed
    case .checksumMismatch: .checksumMismatch
    case .tooLarge: .contentTooLarge
    case .limitReached:
      switch limit?.name {
      case .storagePerToken: .insufficientStorage
      case .queue, .queuePerToken, nil: .tooManyRequests
      }
    case .unsupportedMediaType: .unsupportedMediaType
    case .rangeNotSatisfiable: .rangeNotSatisfiable
    case .unavailable: .serviceUnavailable
    case .fetchFailed: .badGateway
    case .diskFull: .insufficientStorage
    case .outputFailed, .internal: .internalServerError
    }
  }
}

extension FaultCode {
  /// The short text for people. It is the same for all problems of one type, as RFC 9457, section 3.1.3, asks.
  var title: String {
    switch self {
    case .malformedRequest: "Bad Request"
    case .invalidRequest: "Unprocessable Content"
    case .unauthorized: "Unauthorized"
    case .forbidden: "Forbidden"
    case .notFound: "Not Found"
    case .methodNotAllowed: "Method Not Allowed"
    case .conflict: "Conflict"
    case .locked: "Locked"
    case .gone: "Gone"
    case .unsupportedProtocol: "Precondition Failed"
    case .preconditionFailed: "Precondition Failed"
    case .checksumMismatch: "Checksum Mismatch"
    case .tooLarge: "Content Too Large"
    case .limitReached: "A limit is reached"
    case .unsupportedMediaType: "Unsupported Media Type"
    case .rangeNotSatisfiable: "Range Not Satisfiable"
    case .unavailable: "Service Unavailable"
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

extension HTTPResponse.Status {
  /// RFC 4918, section 11.5.
  static let insufficientStorage = HTTPResponse.Status(code: 507, reasonPhrase: "Insufficient Storage")
}
