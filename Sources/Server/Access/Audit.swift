import Foundation
import Hummingbird
import Logging

/// A change that somebody made, as the audit log names it. Part of the contract: filters of operators match on it.
enum AuditAction: String, Sendable, CaseIterable {
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
  func audit(_ action: AuditAction, _ subject: String, by token: String?, metadata: Logger.Metadata = [:]) {
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

extension ServiceContext {
  /// Writes the audit line of a change made by this request; the line has the request's id, too.
  func audit(_ action: AuditAction, _ subject: String) { logger.audit(action, subject, by: principal.token?.name) }
}

/// Changes that are made without a service.
enum Audit {
  /// Writes the audit line of a change that a command made to standard error, with the account that ran it.
  static func ofCommand(_ action: AuditAction, _ subject: String, metadata: Logger.Metadata = [:]) {
    var metadata = metadata
    metadata["user"] = "\(NSUserName())"
    Logger(label: "zooport") { _ in JSONLogHandler(level: .info) }.audit(action, subject, by: nil, metadata: metadata)
  }
}
