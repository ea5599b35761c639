import Synchronization

/// Signs of life of the worker threads, for readiness.
package final class WorkerVitals: Sendable {
  private struct State {
    var alive = 0
    var leasesKeptAt: ContinuousClock.Instant?
    /// How often in a row each worker could not look for work.
    var misses: [String: Int] = [:]
  }

  private let state = Mutex(State())

  package init() {}

  /// A worker thread began.
  package func begin() { state.withLock { $0.alive += 1 } }

  /// A worker thread came to its end.
  package func end() { state.withLock { $0.alive -= 1 } }

  /// A worker looked for work, whether or not there was some.
  func looked(_ worker: String) { state.withLock { $0.misses[worker] = nil } }

  /// A worker could not look for work.
  func missed(_ worker: String) { state.withLock { $0.misses[worker, default: 0] += 1 } }

  /// Workers that could not look for work this many times in a row, or more often.
  package func missing(_ times: Int) -> Int { state.withLock { $0.misses.values.count { $0 >= times } } }

  /// The leases of running jobs were extended.
  func keptLeases() { state.withLock { $0.leasesKeptAt = .now } }

  /// Worker threads that live.
  package var alive: Int { state.withLock { $0.alive } }

  /// How long ago leases were extended; nil when they never were.
  package var sinceLeasesKept: Duration? { state.withLock { $0.leasesKeptAt }.map { .now - $0 } }
}
