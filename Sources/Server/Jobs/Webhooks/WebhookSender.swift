import API
import Core
package import Foundation
import HTTPTypes
package import Inputs
package import Logging
import ServiceLifecycle
import Synchronization

/// Sends what is due, on threads of its own.
///
/// A receiver gets one message at a time, and the messages of one owner take few of the threads, so that receivers which
/// hang hold up their owner's messages and nobody else's. Sending comes before recording: after a kill -9 in between, a
/// message is sent once more, with the same id.
package struct WebhookSender: Service {
  package let store: any WebhookStore
  package let vault: SecretVault
  package let policy: EgressPolicy
  package let retry: RetryPolicy
  /// For a whole try.
  let timeoutSeconds: Int
  /// The body of the message of an ended job.
  private let message: @Sendable (Job) throws -> Data
  /// Its own: a service that ends because another was stopped looks like one that broke.
  private let signal = WorkSignal()
  package let metrics: Metrics
  package let logger: Logger
  private let receivers = BusyReceivers(perOwner: threadsPerOwner)

  package init(
    store: any WebhookStore, vault: SecretVault, policy: EgressPolicy, retry: RetryPolicy, timeoutSeconds: Int,
    message: @escaping @Sendable (Job) throws -> Data, metrics: Metrics, logger: Logger
  ) {
    self.store = store
    self.vault = vault
    self.policy = policy
    self.retry = retry
    self.timeoutSeconds = timeoutSeconds
    self.message = message
    self.metrics = metrics
    self.logger = logger
  }

  /// Receivers that may hang at the same time before others have to wait. They cost a stack each.
  private static let threads = 16
  /// Threads that one owner may have. Whoever needs no token shares all of them.
  private static let threadsPerOwner = 4
  /// How soon after the end of a job its message goes out at the latest.
  private static let idle: Duration = .seconds(1)
  /// How long a thread sleeps while another one looks for messages.
  private static let sleep: Duration = .seconds(60)

  package func run() async throws {
    await ServiceThreads.run((0..<Self.threads).map { ("webhooks-\($0)", send) }) { signal.stop() }
  }

  /// The life of a thread.
  private func send() {
    while !signal.hasStopped {
      let seen = signal.current
      do {
        if let job = try receivers.take({ busy, resting in
          try store.dueWebhook(at: .now, longestPause: retry.longest, notOf: busy, resting: resting)
        }), let webhook = job.webhook {
          defer { receivers.giveBack(job) }
          // There may be more, and from now on somebody else has to look.
          signal.notify()
          try deliver(webhook, of: job)
          continue
        }
      } catch {
        logger.error("webhooks not readable", metadata: ["cause": "\(error)"])
      }
      let isWatching = receivers.watch()
      signal.wait(after: seen, atMost: isWatching ? Self.idle : Self.sleep)
      if isWatching { receivers.endWatch() }
    }
  }

  /// Tries once, and stores what came of it. A try that the end of the service cut off does not count.
  private func deliver(_ webhook: Webhook, of job: Job) throws {
    let outcome = try attempt(webhook, of: job)
    guard outcome != .stopped else { return }
    var webhook = webhook
    webhook.report.attempts += 1
    webhook.dueAt = nil
    webhook.report.lastStatus = nil
    webhook.report.lastError = nil
    switch outcome {
    case .stopped: return
    case .taken(let status):
      webhook.state = .delivered
      webhook.report.lastStatus = status
      webhook.report.deliveredAt = .now
    case .refused(let status, let message):
      webhook.state = .failed
      webhook.report.lastStatus = status
      webhook.report.lastError = message
    case .missed(let status, let message, let retryAfter):
      webhook.report.lastStatus = status
      webhook.report.lastError = message
      if let pause = retry.pause(after: webhook.report.attempts) {
        webhook.dueAt = Timestamp.now.advanced(by: min(max(pause, retryAfter ?? pause), retry.longest))
      } else {
        webhook.state = .failed
      }
    }
    if record(webhook, of: job) { report(webhook, of: job) }
  }

  /// Stores what came of a try, however long the database takes no writes: a message that was sent and not recorded would
  /// be sent again and again. The receiver stays busy, and after as many of them nothing is sent. False when the service
  /// stops before.
  private func record(_ webhook: Webhook, of job: Job) -> Bool {
    var pause: Duration = .seconds(1)
    while true {
      do {
        try store.record(webhook, of: job.id)
        return true
      } catch {
        logger.error("webhook not recorded", metadata: ["job": "\(job.id)", "cause": "\(error)"])
      }
      let deadline = ContinuousClock.now + pause
      while !signal.hasStopped, ContinuousClock.now < deadline {
        signal.wait(after: signal.current, atMost: deadline - .now)
      }
      if signal.hasStopped { return false }
      pause = min(pause * 2, .seconds(60))
    }
  }

  /// What came of a try.
  private enum Outcome: Equatable {
    case taken(status: Int)
    /// Another try would be of no use.
    case refused(status: Int?, String)
    case missed(status: Int?, String, retryAfter: Duration?)
    /// The service stops.
    case stopped
  }

  private func attempt(_ webhook: Webhook, of job: Job) throws -> Outcome {
    guard let secret = vault.open(webhook.target.secret).flatMap(WebhookSecret.init) else {
      return .refused(status: nil, "the secret cannot be read any more: the key of the service was replaced")
    }
    let body = try message(job)
    let id = webhook.target.id
    let seconds = Timestamp.now.milliseconds / 1000
    let request = CurlRequest(
      .post, webhook.target.url,
      headers: [
        ("Content-Type", "application/json"), ("webhook-id", id.description), ("webhook-timestamp", "\(seconds)"),
        ("webhook-signature", secret.signature(id: id.description, seconds: seconds, body: body)),
      ],
      body: .data(body), policy: policy,
      limits: .init(
        connectSeconds: timeoutSeconds, silentSeconds: timeoutSeconds, keepsAnswer: false, totalSeconds: timeoutSeconds),
      isCancelled: { signal.hasStopped })
    do {
      let head = try request.perform().head
      let status = head.status
      switch status {
      case 200..<300: return .taken(status: status)
      // Standard Webhooks: the receiver wants no more.
      case 410: return .refused(status: status, "the receiver answered 410: it wants no messages any more")
      case 300..<400:
        return .missed(status: status, "the receiver answered \(status); redirects are not followed", retryAfter: nil)
      default:
        let retryAfter = head.headers[.retryAfter].flatMap { Int($0) }.map { Duration.seconds(max($0, 0)) }
        return .missed(status: status, "the receiver answered \(status)", retryAfter: retryAfter)
      }
    } catch let failure as TransferFailure {
      if failure.error.kind == .cancelled { return .stopped }
      return failure.isRefused
        ? .refused(status: nil, failure.error.message)
        : .missed(status: nil, failure.error.message, retryAfter: nil)
    }
  }

  private func report(_ webhook: Webhook, of job: Job) {
    let result = webhook.state == .pending ? "postponed" : webhook.state.rawValue
    metrics.add(.webhooks, [result])
    var metadata: Logger.Metadata = [
      "job": "\(job.id)", "webhook": "\(webhook.target.id)", "host": "\(webhook.target.url.host)",
      "attempt": "\(webhook.report.attempts)",
    ]
    if let error = webhook.report.lastError { metadata["cause"] = "\(error)" }
    logger.log(level: webhook.state == .failed ? .warning : .info, "webhook \(result)", metadata: metadata)
  }
}

/// The receivers that are being talked to. One process serves a data folder, so its memory knows them all.
final class BusyReceivers: Sendable {
  private struct State {
    var origins: Set<String> = []
    /// Messages that are being sent, by the owner of their job.
    var owners: [String: Int] = [:]
    /// An idle thread looks for messages now and then; one is enough.
    var isWatched = false
  }

  /// Messages of one owner that may be sent at a time.
  private let limit: Int
  private let state = Mutex(State())

  init(perOwner limit: Int) { self.limit = limit }

  /// Takes the receiver of the job that `next` finds, told whom to pass over.
  func take(_ next: (_ busy: Set<String>, _ resting: Set<String>) throws -> Job?) rethrows -> Job? {
    try state.withLock { state in
      let job = try next(state.origins, Set(state.owners.filter { $0.value >= limit }.keys))
      if let job, let webhook = job.webhook {
        state.origins.insert(webhook.target.url.origin)
        if let owner = job.ownership.owner { state.owners[owner, default: 0] += 1 }
      }
      return job
    }
  }

  /// Takes the duty to look for messages while there is nothing to do; false when another thread has it.
  func watch() -> Bool {
    state.withLock { state in
      defer { state.isWatched = true }
      return !state.isWatched
    }
  }

  /// Lays the duty down.
  func endWatch() { state.withLock { $0.isWatched = false } }

  /// Gives back what `take` took.
  func giveBack(_ job: Job) {
    state.withLock { state in
      if let webhook = job.webhook { state.origins.remove(webhook.target.url.origin) }
      guard let owner = job.ownership.owner, let sending = state.owners[owner] else { return }
      state.owners[owner] = sending > 1 ? sending - 1 : nil
    }
  }
}
