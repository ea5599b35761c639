import Core
import Foundation
import SystemPackage

/// Sends requests to servers that a client named. Blocks; for worker threads.
///
/// Redirects are followed here, one by one, so that every hop is parsed, vetted and counted like the first.
struct Fetcher: Sendable {
  /// What bounds a download.
  struct Limits: Sendable {
    /// Bytes of one file.
    var bytes = 200 << 30
    /// Redirects of one file.
    var redirects = 8
    /// Tries without a byte of progress, the first included.
    var attempts = 4
    /// Pause before the second try; doubled for each further one.
    var backoff: Duration = .milliseconds(500)
    /// Seconds for name resolution and connecting.
    var connectSeconds = 20
    /// Seconds that a transfer may be slower than 1 KiB/s.
    var stallSeconds = 30
    /// Seconds that one request may take.
    var totalSeconds = 24 * 3600
    /// Downloads of one job at the same time.
    var connections = 4
  }

  let policy: EgressPolicy
  private(set) var limits: Limits
  private let handles = CurlHandles()

  init(policy: EgressPolicy, limits: Limits) {
    self.policy = policy
    self.limits = limits
  }

  /// The same for a file that may have at most so many bytes.
  func limited(to bytes: Int) -> Fetcher {
    var fetcher = self
    fetcher.limits.bytes = min(bytes, limits.bytes)
    return fetcher
  }

  /// An answer and where it came from.
  struct Answer: Sendable {
    let head: TransferHead
    let url: SourceURL
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
        request.token = nil
      }
      request.url = next
    }
    throw TransferFailure("\(request.url.host) redirects more than \(limits.redirects) times")
  }

  /// Runs `body` until it succeeds, fails for good, or has failed too often without progress.
  ///
  /// `progress` grows as bytes arrive: a transfer of days may be interrupted any number of times. Pauses are what the
  /// server asked for, or grow from `limits.backoff`.
  func retrying<Value>(
    isCancelled: @Sendable () -> Bool, progress: () -> Int = { 0 }, _ body: () throws(TransferFailure) -> Value
  ) throws(TransferFailure) -> Value {
    var pause = limits.backoff
    var attempt = 0
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
      }
      guard failure.mayPass, attempt < limits.attempts else { throw failure }
      let deadline = ContinuousClock.now + max(pause, failure.retryAfter ?? pause)
      while ContinuousClock.now < deadline {
        if isCancelled() { throw .cancelled }
        Thread.sleep(forTimeInterval: 0.05)
      }
      pause = min(pause * 2, .seconds(60))
    }
  }

  /// Sends a request whose answer is a small document, such as a listing, and tries again as `retrying` does.
  ///
  /// Any status but those of passing faults is an answer. Throws for a body of more than `limit` bytes.
  func document(
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
