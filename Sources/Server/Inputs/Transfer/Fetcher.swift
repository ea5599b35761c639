import Core
import Foundation
import SystemPackage

/// Sends requests to servers that a client named. Blocks; for worker threads.
///
/// Redirects are followed here, one by one, so that every hop is parsed, vetted and counted like the first.
package struct Fetcher: Sendable {
  /// What bounds a download.
  package struct Limits: Sendable {
    /// Bytes of one file.
    package var bytes = 200 << 30
    /// Redirects of one file.
    var redirects = 8
    /// Tries without a byte of progress, the first included.
    package var attempts = 4
    /// How long a file is tried for without a byte of progress, when that takes more tries: a conversion that streams would
    /// have to begin again.
    package var patience: Duration = .seconds(900)
    /// Pause before the second try; doubled for each further one, up to 30 s.
    var backoff: Duration = .milliseconds(500)
    /// The longest pause that a server may ask for. When it asks for more, the try was the last.
    package var longestWait: Duration = .seconds(60)
    /// Seconds for name resolution and connecting.
    var connectSeconds = 20
    /// Seconds that a transfer may be slower than 1 KiB/s.
    package var stallSeconds = 30
    /// Seconds that one request may take.
    package var totalSeconds = 24 * 3600
    /// Bytes a second that a transfer has to bring, counted over `rateWindow`.
    package var leastRate = 4 << 10
    var rateWindow: Duration = .seconds(300)
    /// Downloads of one job at the same time.
    package var connections = 4
    /// Requests for heads and headers of one job at the same time.
    package var requests = 16

    package init(
      bytes: Int = 200 << 30, redirects: Int = 8, attempts: Int = 4, patience: Duration = .seconds(900),
      backoff: Duration = .milliseconds(500), longestWait: Duration = .seconds(60), connectSeconds: Int = 20,
      stallSeconds: Int = 30, totalSeconds: Int = 24 * 3600, leastRate: Int = 4 << 10,
      rateWindow: Duration = .seconds(300), connections: Int = 4, requests: Int = 16
    ) {
      self.bytes = bytes
      self.redirects = redirects
      self.attempts = attempts
      self.patience = patience
      self.backoff = backoff
      self.longestWait = longestWait
      self.connectSeconds = connectSeconds
      self.stallSeconds = stallSeconds
      self.totalSeconds = totalSeconds
      self.leastRate = leastRate
      self.rateWindow = rateWindow
      self.connections = connections
      self.requests = requests
    }
  }

  package let policy: EgressPolicy
  package private(set) var limits: Limits
  /// Told, in a sentence, of pauses that a person would wonder about.
  private let notice: (@Sendable (String) -> Void)?
  private let handles = CurlHandles()

  package init(policy: EgressPolicy, limits: Limits, notice: (@Sendable (String) -> Void)? = nil) {
    self.policy = policy
    self.limits = limits
    self.notice = notice
  }

  /// The same for an answer that somebody waits for: nothing is tried for longer than a few tries take, and only who is
  /// told of long pauses bears them.
  func hasty() -> Fetcher {
    var fetcher = self
    fetcher.limits.patience = .zero
    if notice == nil { fetcher.limits.longestWait = min(limits.longestWait, .seconds(10)) }
    return fetcher
  }

  /// The same for a file that may have at most so many bytes.
  func limited(to bytes: Int) -> Fetcher {
    var fetcher = self
    fetcher.limits.bytes = min(bytes, limits.bytes)
    return fetcher
  }

  /// An answer and where it came from.
  package struct Answer: Sendable {
    package let head: TransferHead
    package let url: SourceURL

    package init(head: TransferHead, url: SourceURL) {
      self.head = head
      self.url = url
    }
  }

  /// Sends one request and follows redirects, without another try. Any other status is an answer.
  ///
  /// The token goes to the origin of the request and nowhere else. With `staying`, a redirect that leaves that origin is
  /// the answer itself. `receive` takes the body of a 200 or 206.
  func send(
    _ request: TransferRequest, staying: Bool = false, isCancelled: @escaping @Sendable () -> Bool,
    receive: @escaping CurlTransfer.Receiver = { _, _ in }
  ) throws(TransferFailure) -> Answer {
    var request = request
    for _ in 0...limits.redirects {
      let transfer = CurlTransfer(
        request, policy: policy, limits: limits, isCancelled: isCancelled, receiver: receive)
      let (head, location) = try transfer.perform(on: handles)
      guard let location else { return Answer(head: head, url: request.url) }
      let next: SourceURL
      do {
        next = try SourceURL(location)
      } catch {
        throw TransferFailure("\(request.url.host) redirects to a URL that cannot be fetched: \(error.reason)")
      }
      if next.origin != request.url.origin {
        if staying { return Answer(head: head, url: next) }
        request.showsToken = false
      }
      request.url = next
    }
    throw TransferFailure("\(request.url.host) redirects more than \(limits.redirects) times")
  }

  /// How long something is tried again without progress.
  enum Patience: Sendable {
    /// `Limits.attempts` times: somebody waits for the answer, or the next attempt of the job asks again.
    case short
    /// And for `Limits.patience` at least: work would be lost.
    case long
  }

  /// The longest pause between two tries that no server asked for.
  private static let longestPause: Duration = .seconds(30)

  /// Runs `body` until it succeeds, fails for good, or has failed too often without progress. Blocks, looking for
  /// cancellation several times a second.
  ///
  /// `progress` grows as bytes arrive: a transfer of days may be interrupted any number of times. Pauses grow from
  /// `limits.backoff`, and are never shorter than what the server asked for.
  func retrying<Value>(
    _ patience: Patience = .short, isCancelled: @Sendable () -> Bool, progress: () -> Int = { 0 },
    _ body: () throws(TransferFailure) -> Value
  ) throws(TransferFailure) -> Value {
    var pause = limits.backoff
    var attempt = 0
    var lastProgress = ContinuousClock.now
    while true {
      attempt += 1
      let before = progress()
      let failure: TransferFailure
      do throws(TransferFailure) {
        return try body()
      } catch {
        failure = error
      }
      if isCancelled() { throw .cancelled }
      if progress() > before {
        attempt = 0
        pause = limits.backoff
        lastProgress = .now
      }
      guard failure.mayPass, !failure.endsAttempt else { throw failure }
      let isPatient = patience == .long && ContinuousClock.now - lastProgress < limits.patience
      guard attempt < limits.attempts || isPatient else { throw failure }
      if let asked = failure.retryAfter {
        guard asked <= limits.longestWait else { throw failure }
        if asked >= .seconds(5) { notice?(failure.error.message) }
      }
      let deadline = ContinuousClock.now + max(pause, failure.retryAfter ?? pause)
      while ContinuousClock.now < deadline {
        if isCancelled() { throw .cancelled }
        Thread.sleep(forTimeInterval: 0.05)
      }
      pause = min(pause * 2, Self.longestPause)
    }
  }

  /// Sends a request whose answer is a small document, such as a listing, and tries again as `retrying` does.
  ///
  /// Any status but those of passing faults is an answer. Throws for a body of more than `limit` bytes.
  package func document(
    _ request: TransferRequest, limit: Int, isCancelled: @escaping @Sendable () -> Bool
  ) throws(TransferFailure) -> (answer: Answer, body: [UInt8]) {
    try retrying(isCancelled: isCancelled) { () throws(TransferFailure) in
      var body: [UInt8] = []
      let answer = try send(request, isCancelled: isCancelled) { (_, bytes) throws(TransferFailure) in
        guard bytes.count <= limit - body.count else {
          throw TransferFailure("the answer of \(request.url.host) has more than \(limit) bytes")
        }
        body += bytes
      }
      let failure = TransferFailure(answer.head, from: answer.url)
      if failure.mayPass { throw failure }
      return (answer, body)
    }
  }
}
