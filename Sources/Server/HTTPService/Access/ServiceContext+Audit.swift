import Hummingbird
import Jobs

extension ServiceContext {
  /// Writes the audit line of a change made by this request; the line has the request's id, too.
  func audit(_ action: AuditAction, _ subject: String) { logger.audit(action, subject, by: principal.token?.name) }
}
