import Core

/// One thing that is wrong, or worth a warning, in a request or an input.
struct Finding: Codable, Hashable, Sendable {
  /// `error` or `warning`.
  let severity: String
  let code: FaultCode
  /// The field, config key, tensor or file; empty for the request as a whole.
  let subject: String
  let message: String
  /// File and line of the conversion rule that found it.
  var rule: String?
}

extension Finding {
  /// The finding of a conversion.
  init(_ diagnostic: Diagnostic) {
    self.init(
      severity: diagnostic.severity.rawValue, code: FaultCode(diagnostic.kind),
      subject: diagnostic.subject.description, message: diagnostic.message, rule: diagnostic.origin?.description)
  }

  /// A field of a request that is missing or wrong.
  init(field: String, _ message: String, code: FaultCode = .invalidRequest) {
    self.init(severity: "error", code: code, subject: field, message: message)
  }
}
