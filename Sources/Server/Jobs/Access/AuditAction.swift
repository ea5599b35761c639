package import Logging

/// A change that somebody made, as the audit log names it. Part of the contract: filters of operators match on it.
package enum AuditAction: String, Sendable, CaseIterable {
  case jobSubmit = "job.submit"
  case jobCancel = "job.cancel"
  case jobDelete = "job.delete"
  case jobPin = "job.pin"
  case jobUnpin = "job.unpin"
  case outputLink = "output.link"
  case uploadCreate = "upload.create"
  case uploadDelete = "upload.delete"
  case tokenCreate = "token.create"
  case tokenRevoke = "token.revoke"
}

extension Logger {
  /// Writes the audit line of a change, whatever the log level: `audit` is true, then who, what and to which resource.
  package func audit(_ action: AuditAction, _ subject: String, by token: String?, metadata: Logger.Metadata = [:]) {
    var logger = self
    logger.logLevel = .info
    var metadata = metadata
    metadata["audit"] = .stringConvertible(true)
    metadata["action"] = "\(action.rawValue)"
    metadata["subject"] = "\(subject)"
    metadata["token"] = "\(token ?? "")"
    logger.info("audit", metadata: metadata)
  }
}
