import GRDB
import HTTPTypes
import Logging
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

/// One row that nobody can read, as a hand on the database or another version may leave it.
@Suite("A job that cannot be read")
struct UnreadableJobTests {
  private static let now = Timestamp(milliseconds: 3_000_000)

  /// A store with three queued jobs, of which the second is damaged.
  private func damaged(webhook: Webhook? = nil) async throws -> (JobStoreConformance.Subject, [Identifier]) {
    let subject = try JobStoreConformance.Subject()
    var ids: [Identifier] = []
    for index in 0..<3 { ids.append(try await subject.add(index, webhook: webhook).id) }
    let database = try Database(path: subject.folder.path.appending("test.sqlite").string, migrates: false)
    try await database.pool.write { [id = ids[1].description] in
      try $0.execute(sql: "UPDATE jobs SET options = '{' WHERE id = ?", arguments: [id])
    }
    return (subject, ids)
  }

  @Test("It fails and the queue goes on")
  func claim() async throws {
    let (subject, ids) = try await damaged()
    #expect(try subject.claim()?.job.id == ids[0])
    let error = try #require(throws: UnreadableJob.self) { try subject.claim() }
    #expect(error.id == ids[1])
    #expect(error.model == "gpt2")
    #expect(try subject.claim()?.job.id == ids[2])
    #expect(try subject.claim() == nil)
    let load = try await subject.jobs.load()
    #expect(load.active == [.init(status: .running, model: "gpt2", count: 2)])
    // It ends like any other.
    #expect(try subject.jobs.delete(ids[1], endedBefore: Self.now) == [])
  }

  @Test("Lists pass over it and hide nothing else")
  func lists() async throws {
    let (subject, ids) = try await damaged()
    func page(_ limit: Int, after cursor: Identifier? = nil) async throws -> [Identifier] {
      try await subject.jobs.jobs(matching: JobFilter(), after: cursor, limit: limit).map(\.id)
    }
    #expect(try await page(9) == [ids[2], ids[0]])
    #expect(try await page(2) == [ids[2], ids[0]])
    #expect(try await page(1) == [ids[2]])
    #expect(try await page(1, after: ids[2]) == [ids[0]])
  }

  @Test("Its message is passed over")
  func webhooks() async throws {
    let target = Webhook.Target(
      id: .generate(), url: try SourceURL("https://ci.example.org"), secret: try SecretVault().seal("whsec_x"))
    let (subject, ids) = try await damaged(webhook: Webhook(target: target))
    _ = try await subject.jobs.cancel(ids[2], at: Self.now)
    let database = try Database(path: subject.folder.path.appending("test.sqlite").string, migrates: false)
    try await database.pool.write { [id = ids[1].description] in
      try $0.execute(sql: "UPDATE jobs SET status = 'cancelled', finished_at = 1 WHERE id = ?", arguments: [id])
    }
    let due = try subject.webhooks.dueWebhook(at: Self.now, longestPause: .seconds(1), notOf: [], resting: [])
    #expect(due?.id == ids[2])
  }

  @Test("The service says so, counts it, and serves the others")
  func service() async throws {
    let lines = LogLines()
    let harness = try ServiceHarness(log: lines.handler(level: .info)) { $0.workers = 1 }
    let database = try Database(path: harness.folder.path.appending("zooport.sqlite").string, migrates: false)
    try await database.pool.write {
      try $0.execute(
        sql: "CREATE TRIGGER damage AFTER INSERT ON jobs WHEN NEW.model = 'broken' "
          + "BEGIN UPDATE jobs SET options = '{' WHERE id = NEW.id; END")
    }
    try await harness.test { client async throws in
      let damaged = try await client.start("broken")
      try await client.wait(client.start("quick"), for: "succeeded")
      #expect(lines.all.contains { $0["message"] as? String == "job not readable" })
      let metrics = try await client.send(.get, "/metrics").body
      #expect(metrics.contains(#"zooport_jobs_ended_total{status="failed",model="broken"} 1"#))
      #expect(metrics.contains(#"zooport_job_errors_total{code="internal"} 1"#))
      #expect((try await client.send(.get, "/v1/jobs").json["jobs"] as? [Any])?.count == 1)
      #expect(try await client.send(.get, damaged).status == .internalServerError)
    }
  }
}
