import Core
import Foundation
import SystemPackage

/// Downloads a file named by a client. Blocks; for worker threads.
///
/// Redirects are followed here, one by one, so that every hop is parsed, vetted and counted like the first.
struct Fetcher: Sendable {
  /// What bounds a download.
  struct Limits: Sendable {
    /// Bytes of one file.
    var bytes = 200 << 30
    /// Redirects of one file.
    var redirects = 8
    /// Tries of one file, the first included.
    var attempts = 4
    /// Pause before the second try; doubled for each further one.
    var backoff: Duration = .milliseconds(500)
    /// Seconds for name resolution and connecting.
    var connectSeconds = 20
    /// Seconds that a transfer may be slower than 1 KiB/s.
    var stallSeconds = 30
  }

  let policy: EgressPolicy
  let limits: Limits

  /// Downloads `url` to a new file at `path`.
  ///
  /// `progress` is called with bytes done and bytes expected (0 when the server does not say). `isCancelled` is asked
  /// several times a second.
  /// Throws a failure with `.fetchFailed` (host and reason), `.diskFull`, `.outputFailed` or `.cancelled`; `mayPass`
  /// when trying for longer may help.
  func fetch(
    _ url: SourceURL, to path: FilePath, isCancelled: @escaping @Sendable () -> Bool,
    progress: @escaping @Sendable (_ done: Int, _ total: Int) -> Void
  ) throws(TransferFailure) {
    var pause = limits.backoff
    for attempt in 1... {
      let failure: TransferFailure
      do {
        return try follow(url, to: path, isCancelled: isCancelled, progress: progress)
      } catch {
        failure = error
      }
      if isCancelled() { throw TransferFailure(ConversionError(.cancelled, "cancelled")) }
      guard failure.mayPass, attempt < limits.attempts else { throw failure }
      let deadline = ContinuousClock.now + max(pause, failure.retryAfter ?? pause)
      while ContinuousClock.now < deadline {
        if isCancelled() { throw TransferFailure(ConversionError(.cancelled, "cancelled")) }
        Thread.sleep(forTimeInterval: 0.05)
      }
      pause *= 2
    }
  }

  private func follow(
    _ url: SourceURL, to path: FilePath, isCancelled: @escaping @Sendable () -> Bool,
    progress: @escaping @Sendable (_ done: Int, _ total: Int) -> Void
  ) throws(TransferFailure) {
    var url = url
    for _ in 0...limits.redirects {
      let transfer = CurlTransfer(
        url: url, path: path, policy: policy, limits: limits, isCancelled: isCancelled, progress: progress)
      guard let location = try transfer.perform() else { return }
      do {
        url = try SourceURL(location)
      } catch {
        throw TransferFailure("\(url.host) redirects to a URL that cannot be fetched: \(error.reason)")
      }
    }
    throw TransferFailure("\(url.host) redirects more than \(limits.redirects) times")
  }
}

/// Why one try failed.
struct TransferFailure: Error {
  let error: ConversionError
  /// True for faults of the moment: another try may succeed.
  let mayPass: Bool
  /// What the server asked for; at most a minute.
  var retryAfter: Duration?

  init(_ message: String, mayPass: Bool = false, retryAfter: Duration? = nil) {
    self.init(ConversionError(.fetchFailed, message), mayPass: mayPass)
    self.retryAfter = retryAfter.map { min($0, .seconds(60)) }
  }

  init(_ error: ConversionError, mayPass: Bool = false) {
    self.error = error
    self.mayPass = mayPass
  }
}
