import GRDB

/// The SQLite database of one server: opened, configured and migrated.
///
/// One process per data folder (`FolderLock`), many threads. Writers are serialised by GRDB, readers run beside them.
/// A commit is on the disk when the call returns.
struct Database: Sendable {
  let pool: DatabasePool

  /// Opens or creates the file and brings the schema up to date. Throws `DatabaseError`.
  init(path: String) throws {
    var configuration = Configuration()
    configuration.foreignKeysEnabled = true
    configuration.busyMode = .timeout(10)
    configuration.label = "zooport"
    pool = try DatabasePool(path: path, configuration: configuration)
    // DatabasePool lowers its writer to NORMAL after it opened it, under which a power cut may undo commits.
    try pool.writeWithoutTransaction { try $0.execute(sql: Statements.synchronousFull) }
    try Schema.migrator.migrate(pool)
  }
}
