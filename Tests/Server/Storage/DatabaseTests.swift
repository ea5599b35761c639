import GRDB
import SystemPackage
import Testing

@testable import Server

@Suite("Database and data folder")
struct DatabaseTests {
  @Test("Commits are on the disk when they return: WAL, synchronous FULL, foreign keys")
  func pragmas() throws {
    let folder = try TemporaryFolder()
    let database = try Database(path: folder.path.appending("x.sqlite").string)
    try database.pool.writeWithoutTransaction { db throws in
      #expect(try Int.fetchOne(db, sql: "PRAGMA synchronous") == 2)
      #expect(try String.fetchOne(db, sql: "PRAGMA journal_mode") == "wal")
      #expect(try Int.fetchOne(db, sql: "PRAGMA foreign_keys") == 1)
    }
  }

  @Test("The schema refuses a value of another type and an unknown status")
  func strictness() throws {
    let folder = try TemporaryFolder()
    let database = try Database(path: folder.path.appending("x.sqlite").string)
    let columns =
      "id, status, command, model, source_format, target_format, config, checkpoint, options, created_at, available_at"
    for values in [
      "'a','running?','c','m','s','t','{}','[]','{}',1,1", "'a','queued','c','m','s','t','{}','[]','{}','soon',1",
    ] {
      #expect(throws: DatabaseError.self) {
        try database.pool.write { try $0.execute(sql: "INSERT INTO jobs (\(columns)) VALUES (\(values))") }
      }
    }
  }

  @Test("A second server is kept away from the folder, until the first is gone")
  func lock() throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("lock")
    do {
      let first = try FolderLock(path: path)
      #expect(throws: FolderLock.Taken.self) { _ = try FolderLock(path: path) }
      withExtendedLifetime(first) {}
    }
    _ = try FolderLock(path: path)
  }

  @Test("A lock that is taken leaves the descriptors of others alone")
  func refusedLock() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("lock")
    let lock = try FolderLock(path: path)
    let lost = await DescriptorWatch.lost { _ = try? FolderLock(path: path) }
    #expect(lost == 0)
    withExtendedLifetime((lock, folder)) {}
  }

  @Test("The sweep removes what has no record and nothing else")
  func sweep() throws {
    let folder = try TemporaryFolder()
    let data = try DataFolder(root: folder.path)
    let name = try #require(FileName("x"))
    let (kept, lost, incoming) = (Identifier.generate(), Identifier.generate(), Identifier.generate())
    for id in [kept, lost] {
      let path = try data.makeIncoming(id, name)
      try SystemPackage.FileDescriptor.open(path, .writeOnly, options: .create, permissions: .ownerReadWrite).close()
      try data.acceptIncoming(id)
      let lease = Lease(job: id, fence: 1)
      _ = try data.makeAttempt(lease)
      try data.publish(lease)
    }
    _ = try data.makeIncoming(incoming, name)
    _ = try data.makeAttempt(Lease(job: kept, fence: 2))
    #expect(try data.sweep(uploads: [kept], partials: [], succeeded: [kept]) == 6)
    #expect(try data.sweep(uploads: [kept], partials: [], succeeded: [kept]) == 0)
    try SystemPackage.FileDescriptor.open(data.upload(kept, name), .readOnly).close()
    #expect(throws: Errno.noSuchFileOrDirectory) {
      try SystemPackage.FileDescriptor.open(data.upload(lost, name), .readOnly).close()
    }
  }
}
