package import Core

/// One thing that is wrong, or worth a warning, in a request or an input.
package struct Finding: Codable, Hashable, Sendable {
  /// `error` or `warning`.
  package let severity: String
  package let code: FaultCode
  /// The field, config key, tensor or file; empty for the request as a whole.
  package let subject: String
  package let message: String
  /// File and line of the conversion rule that found it.
  package var rule: String?

  package init(severity: String, code: FaultCode, subject: String, message: String, rule: String? = nil) {
    self.severity = severity
    self.code = code
    self.subject = subject
    self.message = message
    self.rule = rule
  }
}

extension Finding {
  /// The finding of a conversion.
  package init(_ diagnostic: Diagnostic) {
    self.init(
      severity: diagnostic.severity.rawValue, code: FaultCode(diagnostic.kind),
      subject: diagnostic.subject.description, message: diagnostic.message, rule: diagnostic.origin?.description)
  }

  /// A field of a request that is missing or wrong.
  package init(field: String, _ message: String, code: FaultCode = .invalidRequest) {
    self.init(severity: "error", code: code, subject: field, message: message)
  }
}
