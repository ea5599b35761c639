import Synchronization

/// Signs of life of the worker threads, for readiness.
final class WorkerVitals: Sendable {
  private struct State {
    var alive = 0
    var leasesKeptAt: ContinuousClock.Instant?
  }

  private let state = Mutex(State())

  /// A worker thread began.
  func begin() { state.withLock { $0.alive += 1 } }

  /// A worker thread came to its end.
  func end() { state.withLock { $0.alive -= 1 } }

  /// The leases of running jobs were extended.
  func keptLeases() { state.withLock { $0.leasesKeptAt = .now } }

  /// Worker threads that live.
  var alive: Int { state.withLock { $0.alive } }

  /// How long ago leases were extended; nil when they never were.
  var sinceLeasesKept: Duration? { state.withLock { $0.leasesKeptAt }.map { .now - $0 } }
}
