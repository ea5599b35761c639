import Foundation
import Jobs
import Logging

/// Changes that are made without a service.
enum Audit {
  /// Writes the audit line of a change that a command made to standard error, with the account that ran it.
  static func ofCommand(_ action: AuditAction, _ subject: String, metadata: Logger.Metadata = [:]) {
    var metadata = metadata
    metadata["user"] = "\(NSUserName())"
    Logger(label: "zooport") { _ in JSONLogHandler(level: .info) }.audit(action, subject, by: nil, metadata: metadata)
  }
}
