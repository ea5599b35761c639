/// When something is tried again after a fault that may pass: a job is run, a webhook is sent.
package struct RetryPolicy: Sendable {
  /// How often at most.
  package var retries = 4
  /// Before the second attempt; doubled for each further one.
  package var delay: Duration = .seconds(30)
  /// The longest pause.
  package var longest: Duration = .seconds(900)

  package init(retries: Int = 4, delay: Duration = .seconds(30), longest: Duration = .seconds(900)) {
    self.retries = retries
    self.delay = delay
    self.longest = longest
  }

  /// Fifteen tries in 11.7 hours: a receiver may be down for a night.
  package static let webhooks = RetryPolicy(retries: 14, delay: .seconds(5), longest: .seconds(3 * 3600))

  /// The pause after attempt number `attempt` failed; nil when there shall be no other.
  func pause(after attempt: Int) -> Duration? {
    guard (1...max(retries, 1)).contains(attempt), retries > 0 else { return nil }
    return min(delay * (1 << min(attempt - 1, 20)), longest)
  }
}
