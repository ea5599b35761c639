package import Core

/// Why something was refused or has failed. Stores, admission, workers and webhooks throw and keep it. The HTTP target
/// makes of it what a client of the REST API sees.
package struct Fault: Error, Hashable, Sendable {
  package let code: FaultCode
  /// What happened and what to do about it. Safe to show to a client.
  package let message: String
  /// What was found, in order; empty when the message says it all.
  package var findings: [Finding] = []
  /// The limit of the operator that stands in the way, if one does.
  package var limit: Limit?
  /// How long to wait before the next attempt; nil when unknown.
  package var retryAfter: Duration?
  /// Detail for the log only, such as a path.
  package var cause: String?

  /// A limit that an operator can change.
  package struct Limit: Codable, Hashable, Sendable {
    /// The setting, by the name that operators know.
    package enum Name: String, Codable, Sendable {
      case queue = "queue-limit"
      case queuePerToken = "token-queue-limit"
      case storagePerToken = "token-storage-limit"
    }

    package let name: Name
    package let value: Int

    package init(name: Name, value: Int) {
      self.name = name
      self.value = value
    }
  }

  package init(
    _ code: FaultCode, _ message: String, findings: [Finding] = [], limit: Limit? = nil, retryAfter: Duration? = nil,
    cause: String? = nil
  ) {
    self.code = code
    self.message = message
    self.findings = findings
    self.limit = limit
    self.retryAfter = retryAfter
    self.cause = cause
  }

  /// A failed conversion. Diagnostics beyond `Findings.limitOfConversions` are left out, and the message says how many.
  package init(_ error: ConversionError) {
    let findings = Findings(error.diagnostics.lazy.map(Finding.init), limit: Findings.limitOfConversions)
    self.init(
      FaultCode(error.kind),
      error.message + (findings.omitted > 0 ? " (\(findings.omitted) more diagnostics are left out)" : ""),
      findings: Array(findings), retryAfter: error.retryAfter, cause: error.cause)
  }
}

extension Fault: CustomStringConvertible {
  /// Code and message, for logs.
  package var description: String { "\(code.rawValue): \(message)" + (cause.map { " (\($0))" } ?? "") }
}

/// The stored error of a job leaves out two members: `retryAfter`, which concerns the current attempt only, and `cause`, which
/// belongs in the log.
extension Fault: Codable {
  private enum CodingKeys: String, CodingKey { case code, message, findings, limit }
}

extension Fault {
  /// Nothing is there.
  package static func notFound(_ message: String) -> Fault { Fault(.notFound, message) }

  /// The bytes of the request cannot be understood.
  package static func malformed(_ message: String) -> Fault { Fault(.malformedRequest, message) }

  /// One field of the request is wrong.
  package static func invalid(field: String, _ message: String) -> Fault {
    .invalid(Findings([Finding(field: field, message)]))
  }

  /// Fields of the request are wrong. The code is that of the findings when they agree on one.
  package static func invalid(_ findings: Findings) -> Fault {
    let codes = Set(findings.map(\.code))
    let code = codes.count == 1 ? codes.first ?? .invalidRequest : .invalidRequest
    return Fault(code, findings.summary, findings: Array(findings))
  }

  /// More bytes than the service takes.
  package static func tooLarge(_ what: String, limit: Int) -> Fault {
    Fault(.tooLarge, "\(what) may have at most \(limit) bytes")
  }
}
