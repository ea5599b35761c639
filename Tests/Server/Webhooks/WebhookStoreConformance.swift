import Foundation
import HTTPTypes
import Testing

@testable import API
@testable import APIClient
@testable import Core
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

/// What every store of webhooks must do, together with the job store beside it.
@Suite("Webhook store conformance")
struct WebhookStoreConformance {
  private static let now = Timestamp(milliseconds: 3_000_000)
  private static let pause: Duration = .seconds(3600)

  private func webhook(_ url: String = "https://ci.example.org/hook") throws -> Webhook {
    Webhook(
      target: Webhook.Target(id: .generate(), url: try SourceURL(url), secret: try SecretVault().seal("whsec_x")))
  }

  private func due(
    _ subject: JobStoreConformance.Subject, at time: Timestamp = Self.now, notOf busy: Set<String> = [],
    resting: Set<String> = []
  ) throws -> Job? {
    try subject.webhooks.dueWebhook(at: time, longestPause: Self.pause, notOf: busy, resting: resting)
  }

  /// Every way that a job comes to its end.
  enum End: String, CaseIterable, Sendable {
    case completed, failed, cancelledWaiting, cancelledRunning, givenUp, reused
  }

  @Test("Whatever ends a job makes its message due; nothing before does", arguments: End.allCases)
  func ends(_ end: End) async throws {
    let subject = try JobStoreConformance.Subject()
    let result = JobResult(outputs: [], warnings: [], progress: JobProgress())
    let webhook = try webhook()
    let time = Timestamp(milliseconds: 1_000_001)
    var job = Job(
      id: .generate(at: time), command: .convert, model: "gpt2", sourceFormat: "hf", targetFormat: "cs-1.8",
      config: .inline("{}", FileName("config.json")!), checkpoint: [], options: ConversionOptions(), createdAt: time)
    job.webhook = webhook
    if end == .reused {
      job.fingerprint = "f"
      var equal = Job(
        id: .generate(at: Timestamp(milliseconds: 999_999)), command: .convert, model: "gpt2", sourceFormat: "hf",
        targetFormat: "cs-1.8", config: job.config, checkpoint: [], options: job.options, createdAt: time)
      equal.fingerprint = "f"
      try await subject.jobs.insert(equal, bringing: [])
      let claim = try #require(try subject.claim())
      #expect(try subject.jobs.complete(claim.lease, with: result, at: Self.now) {})
      _ = try await subject.jobs.insert(job, bringing: [], key: nil, reuse: JobReuse { _ in true })
    } else {
      try await subject.jobs.insert(job, bringing: [])
      #expect(try await subject.jobs.job(job.id)?.webhook == webhook)
      #expect(try due(subject) == nil)
      if end == .cancelledWaiting {
        _ = try await subject.jobs.cancel(job.id, at: Self.now)
      } else {
        let claim = try #require(try subject.claim())
        #expect(claim.job.id == job.id)
        #expect(try due(subject) == nil)
        let fault = Fault(.fetchFailed, "no luck")
        switch end {
        case .completed:
          #expect(throws: CancellationError.self) {
            _ = try subject.jobs.complete(claim.lease, with: result, at: Self.now) { throw CancellationError() }
          }
          #expect(try due(subject) == nil, "an end that was rolled back")
          #expect(try subject.jobs.complete(claim.lease, with: result, at: Self.now) {})
        case .failed: #expect(try subject.jobs.fail(claim.lease, with: fault, progress: nil, at: Self.now))
        case .cancelledRunning: _ = try await subject.jobs.cancel(job.id, at: Self.now)
        case .givenUp:
          for _ in 0..<2 {
            _ = try subject.jobs.requeueAbandoned(before: nil, maximumAttempts: 1, at: Self.now)
            #expect(try due(subject) == nil)
            #expect(try subject.claim() != nil)
          }
          _ = try subject.jobs.requeueAbandoned(before: nil, maximumAttempts: 1, at: Self.now)
        default: Issue.record("not an end of a running job")
        }
      }
    }
    let ended = try #require(try due(subject))
    #expect(ended.id == job.id)
    #expect(ended.status.isEnded)
    #expect(ended.webhook?.target == webhook.target)
    #expect(ended.webhook?.state == .pending)
    #expect(ended.webhook?.dueAt == ended.finishedAt)
  }

  @Test("A job that waits for another attempt has not ended")
  func postponed() async throws {
    let subject = try JobStoreConformance.Subject()
    let job = try await subject.add(webhook: try webhook())
    let claim = try #require(try subject.claim())
    let fault = Fault(.fetchFailed, "no luck")
    #expect(try subject.jobs.postpone(claim.lease, at: Self.now, until: Self.now, because: fault))
    #expect(try due(subject) == nil)
    #expect(try await subject.jobs.job(job.id)?.webhook?.state == .waiting)
  }

  @Test(
    "What has been due for longest comes first, busy receivers are passed over, and a clock set back delays nothing")
  func order() async throws {
    let subject = try JobStoreConformance.Subject()
    let urls = [
      "https://a.example.org/1", "https://a.example.org/2", "http://b.example.org:81/", "https://c.example.org",
    ]
    var ids: [Identifier] = []
    for (index, url) in urls.enumerated() {
      let job = try await subject.add(index, webhook: try webhook(url))
      ids.append(job.id)
      // The first ends last.
      _ = try await subject.jobs.cancel(job.id, at: Timestamp(milliseconds: 2_000_000 - index * 1000))
    }
    #expect(try due(subject)?.id == ids[3])
    #expect(
      try due(subject, at: Timestamp(milliseconds: 0))?.id == ids[3], "the first try is due whatever the clock says")
    for id in ids {
      var webhook = try #require(try await subject.jobs.job(id)?.webhook)
      webhook.report.attempts = 1
      try subject.webhooks.record(webhook, of: id)
    }
    #expect(try due(subject, notOf: ["https://c.example.org:443"])?.id == ids[2])
    let busy: Set = ["https://c.example.org:443", "http://b.example.org:81"]
    #expect(try due(subject, notOf: busy)?.id == ids[1])
    #expect(try due(subject, notOf: busy.union(["https://a.example.org:443"])) == nil)
    #expect(try due(subject, at: Timestamp(milliseconds: 1_996_999)) == nil)
    #expect(try due(subject, at: Timestamp(milliseconds: 1_997_000))?.id == ids[3])
    // 3600 s and more before: no pause is that long.
    #expect(try due(subject, at: Timestamp(milliseconds: -1_602_500))?.id == ids[2])
  }

  @Test("Owners who have as many messages on the way as they may are passed over; nobody is an owner, too")
  func resting() async throws {
    let subject = try JobStoreConformance.Subject()
    var ids: [Identifier] = []
    for (index, owner) in ["ann", nil, "ben"].enumerated() {
      let job = try await subject.add(index, owner: owner, webhook: try webhook("https://\(index).example.org"))
      ids.append(job.id)
      _ = try await subject.jobs.cancel(job.id, at: Timestamp(milliseconds: 2_000_000 + index))
    }
    #expect(try due(subject)?.id == ids[0])
    #expect(try due(subject, resting: ["ann"])?.id == ids[1])
    #expect(try due(subject, resting: ["ann", ""])?.id == ids[2])
    #expect(try due(subject, resting: ["ann", "", "ben"]) == nil)
  }

  @Test("What came of a try is kept, and a deleted job takes its message with it")
  func record() async throws {
    let subject = try JobStoreConformance.Subject()
    let job = try await subject.add(webhook: try webhook())
    _ = try await subject.jobs.cancel(job.id, at: Self.now)
    var webhook = try #require(try due(subject)?.webhook)
    webhook.report = Webhook.Report(attempts: 3, lastStatus: 503, lastError: "the receiver answered 503")
    webhook.dueAt = Self.now.advanced(by: .seconds(20))
    try subject.webhooks.record(webhook, of: job.id)
    #expect(try await subject.jobs.job(job.id)?.webhook == webhook)
    #expect(try due(subject) == nil)
    #expect(try due(subject, at: Self.now.advanced(by: .seconds(20)))?.webhook == webhook)
    webhook.state = .delivered
    webhook.dueAt = nil
    webhook.report.deliveredAt = Self.now
    try subject.webhooks.record(webhook, of: job.id)
    #expect(try await subject.jobs.job(job.id)?.webhook == webhook)
    #expect(try due(subject, at: Self.now.advanced(by: .seconds(9999))) == nil)
    _ = try await subject.jobs.delete(job.id)
    try subject.webhooks.record(webhook, of: job.id)
    #expect(try await subject.jobs.job(job.id) == nil)
  }
}
