import Foundation
import HTTPTypes
import HummingbirdTesting
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

@Suite("Lists of jobs and uploads")
struct JobListTests {
  private func ids(_ answer: Client.Answer, _ field: String = "jobs") -> [String] {
    (answer.json[field] as? [[String: Any]] ?? []).compactMap { $0["id"] as? String }
  }

  @Test("Filters, counts whatever the status, and an ETag that changes with the jobs")
  func filters() async throws {
    try await ServiceHarness().test { client async throws in
      let done = try await client.start("quick")
      try await client.wait(done, for: "succeeded")
      let failed = try await client.start("broken")
      try await client.wait(failed, for: "failed")
      let (first, second) = (String(done.split(separator: "/")[2]), String(failed.split(separator: "/")[2]))
      for (query, expected) in [
        ("", [second, first]), ("?q=br", [second]), ("?q=\(first)", [first]), ("?q=%25", []), ("?q=quick", [first]),
        ("?src_fmt=hf", [second, first]), ("?src_fmt=cs-1.8", []), ("?tgt_fmt=cs-1.8&status=failed", [second]),
        ("?owner=ann", []), ("?since=2020-01-01T00:00:00.000Z", [second, first]),
        ("?since=2999-01-01T00:00:00.000Z", []), ("?model=quick&q=qu", [first]),
      ] {
        #expect(try await ids(client.send(.get, "/v1/jobs\(query)")) == expected, "\(query)")
      }
      let counted = try await client.send(.get, "/v1/jobs?counts=true&status=failed&limit=1")
      #expect(
        counted.json["counts"] as? [String: Int]
          == ["queued": 0, "running": 0, "succeeded": 1, "failed": 1, "cancelled": 0])
      #expect(try await client.send(.get, "/v1/jobs").json["counts"] == nil)
      let tag = try #require(counted.headers[.eTag])
      let same = try await client.send(
        .get, "/v1/jobs?counts=true&status=failed&limit=1", headers: [.ifNoneMatch: tag])
      #expect(same.status == .notModified)
      #expect(same.body.isEmpty)
      try await client.send(.delete, done)
      let changed = try await client.send(
        .get, "/v1/jobs?counts=true&status=failed&limit=1", headers: [.ifNoneMatch: tag])
      #expect((changed.json["counts"] as? [String: Int])?["succeeded"] == 0)
      for query in ["?since=yesterday", "?counts=1", "?limit=201", "?zork=1", "?cursor=x"] {
        #expect(try await client.send(.get, "/v1/jobs\(query)").status == .unprocessableContent, "\(query)")
      }
    }
  }

  @Test("Lists and counts show no more than the caller sees")
  func reach() async throws {
    let harness = try ServiceHarness { $0.visibility = .team }
    let (ann, mate, ben) = (
      try harness.token("ann", team: "red"), try harness.token("mate", team: "red"), try harness.token("ben")
    )
    try await harness.test { client async throws in
      let url = try await client.with(ann).start("quick")
      try await client.with(ann).wait(url, for: "succeeded")
      for (token, count) in [(ann, 1), (mate, 1), (ben, 0)] {
        let list = try await client.with(token).send(.get, "/v1/jobs?counts=true")
        #expect((list.json["counts"] as? [String: Int])?["succeeded"] == count)
        #expect(ids(list).count == count)
        #expect(try await ids(client.with(token).send(.get, "/v1/uploads"), "uploads").count == count)
        #expect(try await ids(client.with(token).send(.get, "/v1/jobs?owner=ann")).count == count)
      }
    }
  }

  @Test("Queued jobs say where they stand: owners take turns, and a job that pauses has no place")
  func positions() async throws {
    let folder = try TemporaryFolder()
    let store = SQLiteJobStore(database: try Database(path: folder.path.appending("x.sqlite").string))
    var jobs: [Job] = []
    for (index, owner) in ["ann", "ann", "ann", "ben", "ann"].enumerated() {
      let time = Timestamp(milliseconds: 1000 + index)
      let job = Job(
        id: .generate(at: time), command: .convertConfig, model: "gpt2", sourceFormat: "hf", targetFormat: "cs-1.8",
        config: .inline("{}", .config), checkpoint: [], options: .init(), createdAt: time,
        ownership: Ownership(owner: owner))
      try await store.insert(job, bringing: [])
      jobs.append(job)
    }
    let now = Timestamp(milliseconds: 9000)
    let order = try await store.queue(at: now)
    #expect(order == [0, 3, 1, 2, 4].map { jobs[$0].id })
    // It is the order in which a worker takes them.
    var taken: [Identifier] = []
    for _ in 0..<2 {
      let claim = try #require(try store.claim(worker: "w", at: now, leaseUntil: Timestamp(milliseconds: 99_000)))
      taken.append(claim.job.id)
      let error = Fault.notFound("x")
      #expect(
        try store.postpone(
          claim.lease, at: now, until: Timestamp(milliseconds: 9_000_000_000_000), because: error, isCounted: true))
    }
    #expect(taken == Array(order.prefix(2)))
    #expect(try await store.queue(at: now) == Array(order.dropFirst(2)))
    let queue = QueueOrder(store: store, age: .seconds(3600))
    #expect(try await queue.position(of: jobs[1]) == 1)
    #expect(try await queue.position(of: jobs[4]) == 3)
    var ended = jobs[1]
    ended.status = .failed
    #expect(try await queue.position(of: ended) == nil)
    // A job that came since the order was read has no place in it yet.
    let late = Job(
      id: .generate(), command: .convertConfig, model: "gpt2", sourceFormat: "hf", targetFormat: "cs-1.8",
      config: .inline("{}", .config), checkpoint: [], options: .init(), createdAt: now,
      ownership: Ownership(owner: "ann"))
    try await store.insert(late, bringing: [])
    #expect(try await queue.position(of: late) == nil)
    let fresh = QueueOrder(store: store, age: .zero)
    #expect(try await fresh.position(of: late) == 4)
  }

  @Test("A job that waits behind another shows its place until it runs")
  func waiting() async throws {
    try await ServiceHarness { $0.workers = 1 }.test { client async throws in
      let running = try await client.start("endless")
      try await client.wait(running, for: "running")
      let (next, last) = (try await client.start("endless"), try await client.start("endless"))
      // The order is up to a second old, so the second of two jobs may have no place at first.
      let placed = try await eventually { try await client.send(.get, last).json["queue_position"] as? Int == 2 }
      #expect(placed)
      #expect(try await client.send(.get, next).json["queue_position"] as? Int == 1)
      #expect(try await client.send(.get, running).json["queue_position"] is NSNull)
      let listed = try await client.send(.get, "/v1/jobs?status=queued").json["jobs"] as? [[String: Any]]
      #expect(listed?.compactMap { $0["queue_position"] as? Int } == [2, 1])
      for url in [last, next, running] { try await client.send(.post, url + "/cancel") }
      #expect(try await client.send(.get, last).json["queue_position"] is NSNull)
    }
  }

  @Test("Uploads, finished or not, newest first, page by page")
  func uploads() async throws {
    try await ServiceHarness().test { client async throws in
      var all: [String] = []
      for index in 0..<3 { all.insert(try await client.upload("x\(index).bin", "weights"), at: 0) }
      let begun = try await client.send(
        .post, "/v1/uploads",
        headers: [.tusResumable: "1.0.0", .uploadLength: "9", .uploadMetadata: "filename eC5iaW4="])
      all.insert(String(try #require(begun.headers[.location]).split(separator: "/")[2]), at: 0)
      let list = try await client.send(.get, "/v1/uploads")
      #expect(ids(list, "uploads") == all)
      let newest = try #require((list.json["uploads"] as? [[String: Any]])?.first)
      #expect(newest["sha256"] is NSNull)
      #expect(newest["size"] as? Int == 9)
      #expect(newest["offset"] as? Int == 0)
      #expect(newest["expires_at"] is String)
      let page = try await client.send(.get, "/v1/uploads?limit=3")
      #expect(ids(page, "uploads") == Array(all.prefix(3)))
      let rest = try await client.send(.get, "/v1/uploads?limit=3&cursor=\(try #require(page["next_cursor"]))")
      #expect(ids(rest, "uploads") == [all[3]])
      #expect(rest.json["next_cursor"] is NSNull)
      for query in ["?limit=0", "?zork=1", "?cursor=x"] {
        #expect(try await client.send(.get, "/v1/uploads\(query)").status == .unprocessableContent)
      }
    }
  }
}
