import Core
import HTTPTypes
import Hummingbird
import NIOCore

/// An error as clients see it: `application/problem+json` after RFC 9457, with `code` and `diagnostics` added.
///
/// The same document stands in the `error` field of a failed job. `cause` is for the log and is never sent.
struct Problem: HTTPResponseError, Sendable {
  /// The JSON document.
  struct Document: Codable, Hashable, Sendable {
    let type: String
    let title: String
    let status: Int
    let detail: String
    let code: ProblemCode
    let diagnostics: [Finding]
    /// The limit of the operator that stands in the way, if one does.
    var limit: LimitDocument?
  }

  /// One entry of `diagnostics`.
  struct Finding: Codable, Hashable, Sendable {
    /// `error` or `warning`.
    let severity: String
    let code: ProblemCode
    /// The field, config key, tensor or file; empty for the request as a whole.
    let subject: String
    let message: String
    /// File and line of the conversion rule that found it.
    var rule: String?
  }

  let status: HTTPResponse.Status
  let code: ProblemCode
  let title: String
  let detail: String
  var findings: [Finding] = []
  var headers = HTTPFields()
  var limit: LimitDocument?
  var cause: String?

  /// A problem of the request or the service.
  init(
    _ status: HTTPResponse.Status, _ code: ProblemCode, title: String? = nil, _ detail: String,
    findings: [Finding] = [], headers: HTTPFields = [:], cause: String? = nil
  ) {
    self.status = status
    self.code = code
    self.title = title ?? status.reasonPhrase
    self.detail = detail
    self.findings = findings
    self.headers = headers
    self.cause = cause
  }

  /// A problem of a conversion.
  init(_ error: ConversionError) {
    let findings = Findings(error.diagnostics.lazy.map(Finding.init), limit: Findings.limitOfConversions)
    self.init(
      error.kind.status, ProblemCode(error.kind), title: error.kind.title,
      error.message + (findings.omitted > 0 ? " (\(findings.omitted) more diagnostics are left out)" : ""),
      findings: Array(findings), cause: error.cause)
  }

  var document: Document {
    Document(
      type: "urn:zooport:problem:\(code.rawValue)", title: title, status: status.code, detail: detail, code: code,
      diagnostics: findings, limit: limit)
  }

  func response(from request: Request, context: some RequestContext) throws -> Response {
    var response = try JSONBody.response(document, status: status)
    response.headers[.contentType] = "application/problem+json"
    for field in headers { response.headers[field.name] = field.value }
    return response
  }
}

extension Problem.Finding {
  /// The finding of a conversion.
  init(_ diagnostic: Diagnostic) {
    self.init(
      severity: diagnostic.severity.rawValue, code: ProblemCode(diagnostic.kind),
      subject: diagnostic.subject.description, message: diagnostic.message, rule: diagnostic.origin?.description)
  }

  /// A field of a request that is missing or wrong.
  init(field: String, _ message: String, code: ProblemCode = .invalidRequest) {
    self.init(severity: "error", code: code, subject: field, message: message)
  }
}

extension Problem {
  /// Nothing is at this path.
  static func notFound(_ detail: String) -> Problem { Problem(.notFound, .notFound, detail) }

  /// The bytes of the request cannot be understood.
  static func malformed(_ detail: String) -> Problem { Problem(.badRequest, .malformedRequest, detail) }

  /// One field of the request is wrong.
  static func invalid(field: String, _ message: String) -> Problem {
    .invalid(Findings([Finding(field: field, message)]))
  }

  /// Fields of the request are wrong. The code is that of the findings when they agree on one.
  static func invalid(_ findings: Findings) -> Problem {
    let codes = Set(findings.map(\.code))
    let code = codes.count == 1 ? codes.first ?? .invalidRequest : .invalidRequest
    return Problem(.unprocessableContent, code, findings.summary, findings: Array(findings))
  }

  /// The database takes no writes at the moment. Nothing has changed, and the request can be sent again.
  static func database(_ fault: DatabaseFault, cause: String) -> Problem {
    switch fault {
    case .full:
      Problem(
        ErrorKind.diskFull.status, ProblemCode(.diskFull), title: ErrorKind.diskFull.title,
        "no space is left for the database; delete jobs or uploads, or try again later",
        headers: [.retryAfter: "60"], cause: cause)
    case .busy:
      Problem(
        .serviceUnavailable, .unavailable, "another process holds the database; try again",
        headers: [.retryAfter: "5"], cause: cause)
    }
  }

  /// More bytes than the service takes.
  static func tooLarge(_ what: String, limit: Int) -> Problem {
    Problem(.contentTooLarge, .tooLarge, "\(what) may have at most \(limit) bytes")
  }
}
