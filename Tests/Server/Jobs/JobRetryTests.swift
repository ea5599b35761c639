import Foundation
import GRDB
import HTTPTypes
import HummingbirdTesting
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import API
@testable import APIClient
@testable import Core
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

@Suite("Another attempt")
struct JobRetryTests {
  @Test("Pauses double up to a bound, and end after the last retry")
  func pauses() {
    let policy = RetryPolicy(retries: 8, delay: .seconds(30))
    #expect(
      (1...9).map { policy.pause(after: $0).map { Int($0.seconds) } } == [30, 60, 120, 240, 480, 900, 900, 900, nil])
    #expect(RetryPolicy(retries: 0, delay: .seconds(1)).pause(after: 1) == nil)
    #expect(RetryPolicy(retries: 1000, delay: .seconds(1)).pause(after: 999) == .seconds(900))
  }

  @Test("Only a full disk, a download that may come back and what says so are worth another attempt")
  func kinds() {
    for kind in ErrorKind.allCases {
      #expect(JobFailure(ConversionError(kind, "x")).mayPass == [.diskFull, .fetchFailed].contains(kind), "\(kind)")
    }
    #expect(JobFailure(ConversionError(.internal, "x", mayPass: true)).mayPass)
    #expect(JobFailure(TransferFailure("x", mayPass: true)).mayPass)
    #expect(!JobFailure(TransferFailure("x", mayPass: false)).mayPass)
    #expect(JobFailure(TransferFailure(ConversionError(.diskFull, "x"))).mayPass)
  }

  @Test("What a streamed conversion met goes through it: whether it stays, and how long to wait")
  func streamed() {
    let lasting = TransferFailure("x", mayPass: false).conversionError
    #expect(!JobFailure(lasting.reworded("the shard y cannot be opened: x")).mayPass)
    let limited = TransferFailure("x", mayPass: true, retryAfter: .seconds(300)).conversionError.reworded("y")
    #expect(JobFailure(limited).mayPass)
    #expect(JobFailure(limited).retryAfter == .seconds(300))
    // Nobody waits for days.
    #expect(!JobFailure(TransferFailure("x", mayPass: true, retryAfter: .seconds(86_401))).mayPass)
  }

  @Test("A job that its source asks to wait is put off for as long, and asks once")
  func rateLimit() async throws {
    let server = try LoopbackServer { _, send in
      send(LoopbackServer.answer("429 Too Many", "", headers: "RateLimit: \"api\";r=0;t=300\r\n"))
    }
    defer { server.stop() }
    let harness = try ServiceHarness {
      $0.retry = RetryPolicy(retries: 2, delay: .milliseconds(10))
      $0.egress = (try? EgressPolicy(allowing: ["127.0.0.1"])) ?? $0.egress
    }
    try await harness.test { client async throws in
      let now = Timestamp.now
      let answer = try await client.submit(
        #"{"model":"quick","src_fmt":"hf","tgt_fmt":"cs-1.8","config":{"inline":{}},"#
          + #""checkpoint":{"url":"http://127.0.0.1:\#(server.port)/x"}}"#)
      let url = try #require(answer["url"])
      let reached = try await eventually { try await client.send(.get, url).json["not_before"] is String }
      #expect(reached)
      let job = try await client.send(.get, url)
      let text = try #require(job["not_before"])
      #expect(text > now.advanced(by: .seconds(299)).text && text < now.advanced(by: .seconds(330)).text, "\(text)")
      #expect(
        (job.json["error"] as? [String: Any])?["detail"] as? String
          == "127.0.0.1 answered 429 for http://127.0.0.1:\(server.port)/x, and asks to wait 300 s")
      #expect(server.requests.count == 1)
    }
  }

  @Test("Whatever is thrown while a job runs, wherever that is, one place says what it means")
  func anything() throws {
    let full = CocoaError(.fileWriteOutOfSpace)
    for (error, code, remedy) in [
      (Errno.noSpace, .diskFull, .retry), (Errno.diskQuotaExceeded, .diskFull, .retry), (full, .diskFull, .retry),
      (Fault(.diskFull, "x"), .diskFull, .retry),
      (Fault(.unavailable, "x"), .unavailable, .retry), (Fault(.limitReached, "x"), .limitReached, .none),
      (DatabaseError(resultCode: .SQLITE_CORRUPT), .internal, .none), (Errno.ioError, .internal, .none),
      (ConversionError(.cancelled, "x"), .cancelled, .none),
      (TransferFailure("x", mayPass: true), .fetchFailed, .retry), (TransferFailure(writing: full), .diskFull, .retry),
      (JobFailure(ConversionError(.keysUnmatched, "x")), .keysUnmatched, .none),
    ] as [(any Error, FaultCode, JobFailure.Remedy)] {
      let failure = JobFailure(of: error)
      #expect(failure.fault.code == code, "\(error)")
      #expect(failure.remedy == remedy, "\(error)")
    }
  }

  @Test("A job that is cancelled between the claim and the first step stops at once, and is no error of the service")
  func cancelledAtOnce() async throws {
    let harness = try ServiceHarness()
    let database = try Database(path: harness.folder.path.appending("zooport.sqlite").string, migrates: false)
    // What another request would do in that moment.
    try await database.pool.write {
      try $0.execute(
        sql: """
          CREATE TRIGGER cancel_at_once AFTER UPDATE OF status ON jobs WHEN NEW.status = 'running'
          BEGIN
            UPDATE jobs SET status = 'cancelled', finished_at = NEW.started_at, fence = fence + 1 WHERE id = NEW.id;
          END
          """)
    }
    try await harness.test { client async throws in
      let url = try await client.start("endless")
      try await client.wait(url, for: "cancelled")
      // The keeper of the leases comes every ten seconds.
      let isOver = try await eventually(within: 4) { try harness.files("work").isEmpty }
      #expect(isOver)
      #expect(try await client.send(.get, "/metrics").body.contains(#"job_errors_total{code="internal"} 0"#))
    }
  }

  @Test("A job that finds the disk full waits for another attempt and says so, and fails after the last")
  func full() async throws {
    let waiting = try ServiceHarness { $0.retry = RetryPolicy(retries: 1, delay: .seconds(900)) }
    try await waiting.test { client async throws in
      let url = try await client.start("full")
      let reached = try await eventually { try await client.send(.get, url).json["not_before"] is String }
      #expect(reached)
      let job = try await client.send(.get, url)
      #expect(job["status"] == "queued")
      #expect(job.json["attempt"] as? Int == 1)
      #expect((job.json["error"] as? [String: Any])?["code"] as? String == "disk_full")
      let cancelled = try await client.send(.delete, url)
      #expect(cancelled["status"] == "cancelled")
      #expect(cancelled.json["error"] is NSNull)
    }
    let hasty = try ServiceHarness { $0.retry = RetryPolicy(retries: 2, delay: .milliseconds(10)) }
    try await hasty.test { client async throws in
      let job = try await client.wait(client.start("full"), for: "failed")
      #expect(job.json["attempt"] as? Int == 3)
      #expect((job.json["error"] as? [String: Any])?["code"] as? String == "disk_full")
    }
  }

  @Test("A source that comes back is found by the next attempt; a fault of the input ends the job at once")
  func network() async throws {
    let count = Mutex(0)
    let server = try LoopbackServer { target, send in
      // HEAD, and the request for the first byte that follows it.
      let isFirst = count.withLock {
        $0 += 1
        return $0 <= 2
      }
      let status = target == "/gone" ? "404 Not Found" : isFirst ? "503 Service Unavailable" : "200 OK"
      send(LoopbackServer.answer(status, "weights"))
    }
    defer { server.stop() }
    let harness = try ServiceHarness {
      $0.retry = RetryPolicy(retries: 2, delay: .milliseconds(10))
      $0.fetchLimits.attempts = 1
      $0.egress = (try? EgressPolicy(allowing: ["127.0.0.1"])) ?? $0.egress
    }
    try await harness.test { client async throws in
      func start(_ path: String) async throws -> String {
        let answer = try await client.submit(
          #"{"model":"quick","src_fmt":"hf","tgt_fmt":"cs-1.8","config":{"inline":{}},"#
            + #""checkpoint":{"url":"http://127.0.0.1:\#(server.port)\#(path)"}}"#)
        return try #require(answer["url"])
      }
      let job = try await client.wait(start("/x"), for: "succeeded")
      #expect(job.json["attempt"] as? Int == 2)
      #expect(job.json["error"] is NSNull)
      #expect(try await client.wait(start("/gone"), for: "failed").json["attempt"] as? Int == 1)
      #expect(try await client.wait(client.start("broken"), for: "failed").json["attempt"] as? Int == 1)
    }
  }
}
