import API
import Foundation
import GRDB

/// The SQLite database of one server: opened, configured and migrated.
///
/// One process per data folder (`FolderLock`), many threads. Writers are serialised by GRDB, readers run beside them.
/// A commit is on the disk when the call returns.
package struct Database: Sendable {
  let pool: DatabasePool

  /// The schema is that of another version, and `migrates` is false.
  struct OtherSchema: Error, CustomStringConvertible {
    var description: String { "the database is of another version; start the service of this version once" }
  }

  /// The schema is that of a later version. To write with this one would break rules that it does not know.
  struct NewerSchema: Error, CustomStringConvertible {
    var description: String {
      "the database is of a newer version; restore the backup from before the upgrade or start the newer version"
    }
  }

  /// Opens or creates the file and brings the schema up to date. Throws `DatabaseError`, and `NewerSchema` when a later
  /// version has changed it.
  ///
  /// A second process beside the service passes `migrates: false`, and gets `OtherSchema` where it would have to change it.
  init(path: String, migrates: Bool = true) throws {
    var configuration = Configuration()
    configuration.foreignKeysEnabled = true
    configuration.busyMode = .timeout(10)
    configuration.label = "zooport"
    Self.hide(path)
    pool = try DatabasePool(path: path, configuration: configuration)
    // DatabasePool lowers its writer to NORMAL after it opened it, under which a power cut may undo commits.
    try pool.writeWithoutTransaction { try $0.execute(sql: Statements.synchronousFull) }
    if migrates {
      guard try !pool.read(Schema.migrator.hasBeenSuperseded) else { throw NewerSchema() }
      try Schema.migrator.migrate(pool)
    } else {
      let isCurrent = try pool.read { db in
        try Schema.migrator.hasCompletedMigrations(db) && !Schema.migrator.hasBeenSuperseded(db)
      }
      guard isCurrent else { throw OtherSchema() }
    }
  }

  /// Keeps the file away from other users: jobs may have signed URLs, and the umask need not be strict. SQLite gives
  /// `-wal` and `-shm` the mode of the file that it finds.
  ///
  /// What cannot be done is left to SQLite to complain about, or belongs to the service, which has done it.
  private static func hide(_ path: String) {
    // Never opened when it is there: to close it would drop the locks of other connections of this process.
    let new = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    if new >= 0 { close(new) }
    for file in [path, path + "-wal", path + "-shm"] {
      var status = stat()
      guard stat(file, &status) == 0, status.st_mode & 0o007 != 0 else { continue }
      chmod(file, status.st_mode & 0o770)
    }
  }
}

extension Database {
  /// Runs `body` in a transaction that sees one state. Throws what `body` throws, `DatabaseError`, and `Fault` for what passes.
  func read<Value>(_ body: (GRDB.Database) throws -> Value) throws -> Value {
    try Self.naming { try pool.read(body) }
  }

  /// The same for request handlers.
  func read<Value: Sendable>(
    _ body: @escaping @Sendable (GRDB.Database) throws -> Value
  ) async throws -> Value {
    do {
      return try await pool.read(body)
    } catch {
      throw Self.named(error)
    }
  }

  /// Runs `body` in a transaction. Throws what `body` throws, `DatabaseError`, and `Fault` for what passes.
  func write<Value>(_ body: (GRDB.Database) throws -> Value) throws -> Value {
    try Self.naming { try pool.write(body) }
  }

  /// The same for request handlers.
  func write<Value: Sendable>(
    _ body: @escaping @Sendable (GRDB.Database) throws -> Value
  ) async throws -> Value {
    do {
      return try await pool.write(body)
    } catch {
      throw Self.named(error)
    }
  }

  private static func naming<Value>(_ body: () throws -> Value) throws -> Value {
    do {
      return try body()
    } catch {
      throw named(error)
    }
  }

  /// A `Fault` in place of a `DatabaseError` that passes: who uses a store need not know which one it is.
  private static func named(_ error: any Error) -> any Error {
    (error as? DatabaseError).flatMap { Fault($0) } ?? error
  }

  /// A transaction that does something beside the database as well, such as moving a file. When it fails, be it at its
  /// commit, which is where a full disk shows, `undo` takes that back, before anybody else writes.
  ///
  /// Throws what `body` throws, `DatabaseError`, and `Fault` for what passes.
  func write<Value>(undoing undo: () -> Void, _ body: (GRDB.Database) throws -> Value) throws -> Value {
    try Self.naming { try pool.writeWithoutTransaction { try Self.transaction(in: $0, undoing: undo, body) } }
  }

  /// The same for request handlers. `undo` may block.
  func write<Value: Sendable>(
    undoing undo: @escaping @Sendable () -> Void, _ body: @escaping @Sendable (GRDB.Database) throws -> Value
  ) async throws -> Value {
    do {
      return try await pool.writeWithoutTransaction { try Self.transaction(in: $0, undoing: undo, body) }
    } catch {
      throw Self.named(error)
    }
  }

  private static func transaction<Value>(
    in db: GRDB.Database, undoing undo: () -> Void, _ body: (GRDB.Database) throws -> Value
  ) throws -> Value {
    do {
      var value: Value?
      try db.inTransaction {
        value = try body(db)
        return .commit
      }
      guard let value else { preconditionFailure("a transaction that committed ran its body") }
      return value
    } catch {
      undo()
      throw error
    }
  }
}

extension Identifier {
  /// The ids that a query answers, one a row. Throws `DatabaseError`.
  static func fetchAll(
    _ db: GRDB.Database, sql: String, arguments: StatementArguments = StatementArguments()
  ) throws -> [Identifier] {
    try String.fetchAll(db, sql: sql, arguments: arguments).compactMap(Identifier.init)
  }
}
