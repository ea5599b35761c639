import Core

/// Why an attempt failed, and whether another may succeed.
struct JobFailure: Error {
  let error: ConversionError
  /// The fault is of the moment: a full disk, a network that is down. Faults of the input never pass.
  let mayPass: Bool

  init(_ error: ConversionError) {
    self.error = error
    // A conversion fetches only when it streams, and has tried for a while.
    mayPass = error.mayPass || error.kind == .diskFull || error.kind == .fetchFailed
  }

  /// The attempt may have been perfect; what could not be done is to say so.
  init(_ fault: DatabaseFault, cause: String) {
    error =
      switch fault {
      case .full: ConversionError(.diskFull, "no space is left for the database", cause: cause)
      case .busy: ConversionError(.internal, "another process held the database when the job ended", cause: cause)
      }
    mayPass = true
  }

  init(_ failure: TransferFailure) {
    error = failure.error
    mayPass = failure.mayPass || failure.error.kind == .diskFull
  }
}

/// When something is tried again after a fault that may pass: a job is run, a webhook is sent.
struct RetryPolicy: Sendable {
  /// How often at most.
  var retries = 4
  /// Before the second attempt; doubled for each further one.
  var delay: Duration = .seconds(30)
  /// The longest pause.
  var longest = Self.longestOfJobs

  /// The longest pause of a job.
  static let longestOfJobs: Duration = .seconds(900)
  /// Fifteen tries in 11.7 hours: a receiver may be down for a night.
  static let webhooks = RetryPolicy(retries: 14, delay: .seconds(5), longest: .seconds(3 * 3600))

  /// The pause after attempt number `attempt` failed; nil when there shall be no other.
  func pause(after attempt: Int) -> Duration? {
    guard (1...max(retries, 1)).contains(attempt), retries > 0 else { return nil }
    return min(delay * (1 << min(attempt - 1, 20)), longest)
  }
}
