package import API
package import GRDB

extension Fault {
  /// The fault of a database that takes no writes at the moment: it passes by itself or when an operator makes room. Nothing
  /// has changed, and the same can be tried again. Nil for an error that does not pass.
  package init?(_ error: DatabaseError) {
    switch error.resultCode {
    case .SQLITE_FULL:
      self.init(
        .diskFull, "no space is left for the database; delete jobs or uploads, or try again later",
        retryAfter: .seconds(60), cause: "\(error)")
    case .SQLITE_BUSY, .SQLITE_LOCKED:
      // A backup tool, or somebody's shell.
      self.init(
        .unavailable, "another process holds the database; try again", retryAfter: .seconds(5), cause: "\(error)")
    default: return nil
    }
  }
}
