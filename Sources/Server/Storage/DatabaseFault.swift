import GRDB

/// A fault of the database that passes by itself or when an operator makes room.
enum DatabaseFault {
  /// The disk under the database is full.
  case full
  /// Another process holds the database: a backup tool, somebody's shell.
  case busy

  /// Nil when the error is none of the database, or one that does not pass.
  init?(_ error: any Error) {
    guard let error = error as? DatabaseError else { return nil }
    switch error.resultCode {
    case .SQLITE_FULL: self = .full
    case .SQLITE_BUSY, .SQLITE_LOCKED: self = .busy
    default: return nil
    }
  }
}
