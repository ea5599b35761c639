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

/// A transaction that moved a file and then fails at its commit, which is where SQLite finds the disk full.
@Suite("A commit that fails")
struct FailingCommitTests {
  private let folder: TemporaryFolder
  private let database: SQLiteStore.Database
  private let data: DataFolder
  private let name = FileName("x.bin")!

  init() throws {
    folder = try TemporaryFolder()
    data = try DataFolder(root: folder.path)
    database = try Database(path: data.database.string)
  }

  /// Lets every transaction fail at its end that does `event`: a foreign key that is checked there leads nowhere.
  private func breakCommits(on event: String) async throws {
    try await database.pool.write {
      try $0.execute(
        sql: """
          CREATE TRIGGER broken AFTER \(event)
          BEGIN
            INSERT INTO uploads (id, name, size, sha256, created_at, job) VALUES ('x', 'x', 0, 'x', 0, 'nobody');
          END
          """)
    }
  }

  private func mend() async throws { try await database.pool.write { try $0.execute(sql: "DROP TRIGGER broken") } }

  private func exists(_ path: FilePath) -> Bool { access(path.string, F_OK) == 0 }

  @Test("Outputs are not published, and can be when the commit succeeds")
  func outputs() async throws {
    let store = SQLiteJobStore(database: database)
    let time = Timestamp.now
    let job = Job(
      id: .generate(at: time), command: .convert, model: "m", sourceFormat: "hf", targetFormat: "cs-1.8",
      config: .inline("{}", name), checkpoint: [], options: ConversionOptions(), createdAt: time)
    try await store.insert(job, bringing: [])
    let lease = try #require(try store.claim(worker: "w", at: time, leaseUntil: time)).lease
    let attempt = try data.makeAttempt(lease)
    try Data("out".utf8).write(to: URL(filePath: attempt.outputs.appending(name.description).string))
    let result = JobResult(
      outputs: [JobOutput(name: name, size: 3, sha256: "ab")], warnings: [], progress: JobProgress())
    func complete() throws -> Bool {
      try store.complete(
        lease, with: result, at: .now, publish: { try data.publish(lease) }, undo: { data.withdraw(lease) })
    }
    try await breakCommits(on: "UPDATE OF status ON jobs")
    #expect(throws: DatabaseError.self) { try complete() }
    #expect(!exists(data.output(job.id, name)))
    #expect(exists(attempt.outputs.appending(name.description)))
    #expect(try await store.job(job.id)?.status == .running)
    try await mend()
    #expect(try complete())
    #expect(exists(data.output(job.id, name)))
    #expect(!exists(attempt.outputs))
    // A stale lease must not touch what is there.
    #expect(try !complete())
    #expect(exists(data.output(job.id, name)))
  }

  @Test("An upload stays unfinished, with its bytes, and can be finished by the next request")
  func uploads() async throws {
    let store = SQLitePartialUploadStore(database: database)
    let partial = PartialUpload(
      id: .generate(), name: name, length: 0, metadata: "", createdAt: .now, updatedAt: .now)
    try data.makePartial(partial.id, name)
    try await store.insert(partial)
    let upload = Upload(id: partial.id, name: name, size: 0, sha256: "ab", createdAt: .now)
    func complete() async throws -> Bool {
      try await store.complete(
        upload, place: { [data] in try data.acceptPartial(upload.id) },
        undo: { [data] in data.returnPartial(upload.id) })
    }
    try await breakCommits(on: "DELETE ON partial_uploads")
    await #expect(throws: DatabaseError.self) { try await complete() }
    #expect(exists(data.partial(partial.id, name)))
    #expect(!exists(data.upload(partial.id, name)))
    #expect(try store.partials() == [partial.id])
    try await mend()
    #expect(try await complete())
    #expect(exists(data.upload(partial.id, name)))
  }

  @Test("Outputs that were shared with a new job go again with the job")
  func reuse() async throws {
    let store = SQLiteJobStore(database: database)
    let source = Identifier.generate()
    func job(_ id: Identifier) -> Job {
      var job = Job(
        id: id, command: .convert, model: "m", sourceFormat: "hf", targetFormat: "cs-1.8",
        config: .inline("{}", name), checkpoint: [], options: ConversionOptions(), createdAt: .now)
      job.fingerprint = "f"
      return job
    }
    try await store.insert(job(source), bringing: [])
    let lease = try #require(try store.claim(worker: "w", at: .now, leaseUntil: .now)).lease
    let attempt = try data.makeAttempt(lease)
    try Data("out".utf8).write(to: URL(filePath: attempt.outputs.appending(name.description).string))
    let result = JobResult(
      outputs: [JobOutput(name: name, size: 3, sha256: "ab")], warnings: [], progress: JobProgress())
    #expect(try store.complete(lease, with: result, at: .now) { try data.publish(lease) })

    let id = Identifier.generate()
    let share = JobReuse(
      share: { [data] equal in data.share(equal.outputs, of: equal.id, with: id) },
      undo: { [data] in data.removeOutputs(of: id) })
    try await breakCommits(on: "UPDATE OF status ON jobs")
    await #expect(throws: DatabaseError.self) {
      _ = try await store.insert(job(id), bringing: [], key: nil, reuse: share)
    }
    #expect(!exists(data.output(id, name)))
    #expect(try await store.job(id) == nil)
    try await mend()
    _ = try await store.insert(job(id), bringing: [], key: nil, reuse: share)
    #expect(exists(data.output(id, name)))
  }
}
