import Foundation
import GRDB
import HTTPTypes
import HummingbirdTesting
import SystemPackage
import Testing

@testable import API
@testable import APIClient
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Following a job")
struct JobFollowingTests {
  @Test("The tag changes with the job, and an unchanged job is 304 without a body")
  func tag() async throws {
    try await ServiceHarness().test { client async throws in
      let url = try await client.start("endless")
      try await client.wait(url, for: "running")
      let running = try #require(try await client.send(.get, url).headers[.eTag])
      let same = try await client.send(.get, url, headers: [.ifNoneMatch: running])
      #expect(same.status == .notModified)
      #expect(same.body.isEmpty)
      #expect(same.headers[.eTag] == running)
      try await client.send(.delete, url)
      let changed = try await client.send(.get, url, headers: [.ifNoneMatch: running])
      #expect(changed.status == .ok)
      #expect(changed["status"] == "cancelled")
      #expect(changed.headers[.eTag] != running)
    }
  }

  @Test("A change that another process makes is seen at once, though unchanged jobs are not read anew")
  func foreignChange() async throws {
    let harness = try ServiceHarness()
    try await harness.test { client async throws in
      let url = try await client.start("quick")
      try await client.wait(url, for: "succeeded")
      let tag = try #require(try await client.send(.get, url).headers[.eTag])
      let other = try SQLiteStore.Database(path: harness.app.data.database.string, migrates: false)
      try await other.pool.write { try $0.execute(sql: "UPDATE jobs SET warnings = '[\"by hand\"]', pinned = 1") }
      let answer = try await client.send(.get, url, headers: [.ifNoneMatch: tag])
      #expect(answer.status == .ok)
      #expect(answer.json["warnings"] as? [String] == ["by hand"])
      #expect(answer.json["pinned"] as? Bool == true)
    }
  }

  @Test("A long poll is answered when the job ends, not before")
  func waitForEnd() async throws {
    try await ServiceHarness().test { client async throws in
      let url = try await client.start("endless")
      try await client.wait(url, for: "running")
      async let answer = client.send(.get, url, headers: [.prefer: "respond-async, wait=50"])
      try await Task.sleep(for: .milliseconds(300))
      try await client.send(.delete, url)
      let ended = try await answer
      #expect(ended["status"] == "cancelled")
      #expect(ended.headers[.preferenceApplied] == "wait=50")
    }
  }

  @Test("With If-None-Match a long poll waits for any change, and no longer than asked")
  func waitForChange() async throws {
    try await ServiceHarness().test { client async throws in
      let url = try await client.start("endless")
      try await client.wait(url, for: "running")
      let tag = try #require(try await client.send(.get, url).headers[.eTag])
      let start = ContinuousClock.now
      let same = try await client.send(.get, url, headers: [.ifNoneMatch: tag, .prefer: "wait=1"])
      #expect(same.status == .notModified)
      #expect(ContinuousClock.now - start >= .seconds(1))
      async let answer = client.send(.get, url, headers: [.ifNoneMatch: tag, .prefer: "wait=50"])
      try await client.send(.delete, url)
      #expect(try await answer["status"] == "cancelled")
      let missing = try await client.send(
        .get, "/v1/jobs/\(Identifier.generate())", headers: [.prefer: "wait=50"])
      #expect(missing.status == .notFound)
    }
  }

  @Test(
    "The wait of a Prefer header",
    arguments: [
      ("wait=5", 5), ("respond-async; wait = 7", 7), ("WAIT=1000", 60), ("wait=99999999999999999999", 60),
      ("wait=-1", nil), ("wait", nil), ("wait=", nil), ("wait=x, wait=3", 3), ("", nil),
    ] as [(String, Int?)])
  func preference(_ header: String, _ expected: Int?) {
    #expect(Preference(header, limit: 60)?.wait == expected)
  }

  /// The fields of each event.
  private func parse(_ body: String) -> [[String: String]] {
    body.split(separator: "\n\n").map { block in
      Dictionary(
        block.split(separator: "\n").compactMap { line in
          line.firstIndex(of: ":").map { (String(line[..<$0]), String(line[line.index($0, offsetBy: 2)...])) }
        }, uniquingKeysWith: { $1 })
    }.filter { $0["data"] != nil }
  }

  @Test("The events of an ended job over a socket: one, and the end of the body")
  func ended() async throws {
    try await ServiceHarness().test(.live) { client async throws in
      let url = try await client.start("quick")
      try await client.wait(url, for: "succeeded")
      let events = parse(try await client.send(.get, "\(url)/events").body)
      #expect(events.count == 1)
      #expect(events.first?["data"]?.contains(#""status":"succeeded""#) == true)
    }
  }

  @Test("Events run to the end of the job; who has seen the end gets 204")
  func events() async throws {
    try await ServiceHarness().test { client async throws in
      let url = try await client.start("endless")
      try await client.wait(url, for: "running")
      async let stream = client.send(.get, "\(url)/events")
      try await Task.sleep(for: .milliseconds(500))
      try await client.send(.delete, url)
      let answer = try await stream
      #expect(answer.headers[.contentType] == "text/event-stream")
      let events = parse(answer.body)
      let jobs = try events.map { event in
        try #require(try JSONSerialization.jsonObject(with: Data((event["data"] ?? "").utf8)) as? [String: Any])
      }
      #expect(jobs.map { $0["status"] as? String } == ["running", "cancelled"])
      #expect(events.allSatisfy { $0["event"] == "job" })
      let ids = try events.map { try #require($0["id"]) }
      #expect(Set(ids).count == 2)

      let resumed = try await client.send(.get, "\(url)/events", headers: [.lastEventID: ids[0]])
      #expect(parse(resumed.body).map { $0["id"] } == [ids[1]])
      let seen = try await client.send(.get, "\(url)/events", headers: [.lastEventID: ids[1]])
      #expect(seen.status == .noContent)
      #expect(try await client.send(.get, "/v1/jobs/x/events").status == .notFound)
    }
  }

  @Test("A stream and a long poll end when the service stops")
  func shutdown() async throws {
    let harness = try ServiceHarness()
    try await harness.test { client async throws in
      let url = try await client.start("endless")
      try await client.wait(url, for: "running")
      async let stream = client.send(.get, "\(url)/events")
      async let poll = client.send(.get, url, headers: [.prefer: "wait=60"])
      try await Task.sleep(for: .milliseconds(300))
      harness.app.server.controllers.jobs.signal.stop()
      #expect(try await stream.status == .ok)
      #expect(try await poll.status == .ok)
    }
  }
}
