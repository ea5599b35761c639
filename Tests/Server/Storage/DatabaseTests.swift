import Foundation
import GRDB
import SystemPackage
import Testing

@testable import API
@testable import APIClient
@testable import Core
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
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

  @Test("No other user reads the database, whatever the umask and the folder allow and an earlier version left")
  func modes() throws {
    let folder = try TemporaryFolder()
    chmod(folder.path.string, 0o755)
    let path = folder.path.appending("x.sqlite").string
    let files = [path, path + "-wal", path + "-shm"]
    func modes() -> [mode_t] {
      files.map { file in
        var status = stat()
        return stat(file, &status) == 0 ? status.st_mode & 0o777 : 0
      }
    }
    let database = try Database(path: path)
    #expect(modes() == [0o600, 0o600, 0o600])
    for file in files { chmod(file, 0o644) }
    let second = try Database(path: path)
    #expect(modes() == [0o640, 0o640, 0o640])
    withExtendedLifetime((database, second)) {}
  }

  @Test("A data folder that cannot be made is named, with the reason")
  func unusable() throws {
    let folder = try TemporaryFolder()
    let file = folder.path.appending("file")
    try Data().write(to: URL(filePath: file.string))
    for path in [file, file.appending("below")] {
      let error = try #require(throws: DataFolder.Unusable.self) { _ = try DataFolder(root: path) }
      #expect(error.description == "\(path) cannot be the data folder: Not a directory")
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

  @Test("A program from before an upgrade does not start on the schema that came after it")
  func newerSchema() throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("zooport.sqlite").string
    do {
      let database = try Database(path: path)
      try database.pool.write {
        try $0.execute(sql: "INSERT INTO grdb_migrations (identifier) VALUES ('9999 what comes after')")
      }
    }
    let error = try #require(throws: Database.NewerSchema.self) { _ = try Database(path: path) }
    #expect(error.description.contains("restore the backup"))
    #expect(throws: Database.OtherSchema.self) { _ = try Database(path: path, migrates: false) }
    #expect(throws: Database.NewerSchema.self) { _ = try ServiceHarness(in: folder) }
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

  @Test("A job that a former version queued keeps its inline config until it is deleted; that of an ended one is gone")
  func inlineConfigsMove() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path.appending("x.sqlite").string
    let (queued, ended) = (Identifier.generate(), Identifier.generate())
    do {
      let pool = try DatabasePool(path: path)
      try Schema.migrator.migrate(pool, upTo: "8 webhooks")
      try await pool.write { db in
        for (id, status) in [(queued, "queued"), (ended, "failed")] {
          try db.execute(
            sql: """
              INSERT INTO jobs (id, status, command, model, source_format, target_format, config, checkpoint, options,
                created_at, available_at)
              VALUES (?, ?, 'convert-config', 'gpt2', 'hf', 'cs-1.8', ?, '[]', ?, 1, 1)
              """,
            arguments: [
              id.description, status, #"{"inline":"{\"a\": 1.50}","name":"config.json"}"#,
              try JSONBody.text(ConversionOptions()),
            ])
        }
      }
      try pool.close()
    }
    let database = try Database(path: path)
    let store = SQLiteJobStore(database: database)
    let name = try #require(FileName("config.json"))
    #expect(try await store.job(ended)?.config == .inline(nil, name))
    let claim = try #require(
      try store.claim(worker: "w", at: Timestamp(milliseconds: 9), leaseUntil: Timestamp(milliseconds: 99)))
    #expect(claim.job.config == .inline(#"{"a": 1.50}"#, name))
    func texts() throws -> Int {
      try database.pool.read { try Int.fetchOne($0, sql: "SELECT COUNT(*) FROM inline_configs") ?? -1 }
    }
    #expect(try texts() == 1)
    #expect(try store.fail(claim.lease, with: .notFound("x"), progress: nil, at: .now))
    // It can be run again.
    #expect(try texts() == 1)
    #expect(try await store.submitted(queued)?.config == .inline(#"{"a": 1.50}"#, name))
    _ = try await store.delete(queued)
    #expect(try texts() == 0)
  }

  @Test("No listing, claim or limit reads all jobs")
  func queryPlans() async throws {
    let folder = try TemporaryFolder()
    let database = try Database(path: folder.path.appending("x.sqlite").string)
    var queries = [
      Statements.queuedJobs, Statements.queuedJobsOfOwner, Statements.expiredJobs, Statements.activeJobs,
      Statements.longestDue, Statements.claimJob, Statements.failExhausted, Statements.requeueAbandoned,
      Statements.storedBytesOfOwner, Statements.queueOrder,
    ]
    for reach in [Reach.everything, .own("ann"), .team(owner: "ann", team: "red")] {
      queries.append(Statements.equalJob(within: reach))
      for status in [nil, JobStatus.running] {
        for model in [nil, "gpt2"] {
          let filter = JobFilter(status: status, model: model, reach: reach)
          // Without any condition the newest are the last of the table.
          guard filter != JobFilter() else { continue }
          queries += [false, true].map { Statements.jobs(matching: filter, afterCursor: $0) }
        }
      }
    }
    try await database.pool.read { [queries] db in
      for query in queries {
        let statement = try db.makeStatement(sql: "EXPLAIN QUERY PLAN " + query)
        statement.setUncheckedArguments(StatementArguments())
        let steps = try Row.fetchAll(statement).map { $0["detail"] as String }
        #expect(!steps.contains { $0.hasPrefix("SCAN jobs") }, "\(query): \(steps)")
        if query == Statements.claimJob {
          #expect(steps.contains { $0.contains("COVERING INDEX jobs_to_claim") }, "\(steps)")
        }
      }
    }
  }

  @Test("Outputs are shared as the record has them: all of them, with their sizes, and nothing that lies beside them")
  func sharing() throws {
    let folder = try TemporaryFolder()
    let data = try DataFolder(root: folder.path)
    let lease = Lease(job: .generate(), fence: 1)
    let attempt = try data.makeAttempt(lease)
    for name in ["a", "b", "stranger"] {
      try Data(name.utf8).write(to: URL(filePath: attempt.outputs.appending(name).string))
    }
    try data.publish(lease)
    func output(_ name: String, _ size: Int = 1) throws -> JobOutput {
      JobOutput(name: try #require(FileName(name)), size: size, sha256: "ab")
    }
    func shared(_ files: [JobOutput]) throws -> [String]? {
      let job = Identifier.generate()
      let place = folder.path.appending("outputs").appending(job.description).string
      let isShared = data.share(files, of: lease.job, with: job)
      #expect(isShared == FileManager.default.fileExists(atPath: place))
      return isShared ? try FileManager.default.contentsOfDirectory(atPath: place).sorted() : nil
    }
    #expect(try shared([output("a"), output("b")]) == ["a", "b"])
    #expect(try shared([output("a"), output("c")]) == nil, "one is missing")
    #expect(try shared([output("a", 2), output("b")]) == nil, "one was cut off")
    #expect(try shared([]) == nil)
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
