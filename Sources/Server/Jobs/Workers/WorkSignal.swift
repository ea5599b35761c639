/// Wakes worker threads: when a job was added, when the service stops, and at the latest after a given time.
package final class WorkSignal: Sendable {
  private let condition = MonotonicCondition()
  /// `nonisolated(unsafe)`: both are touched with the condition locked only.
  nonisolated(unsafe) private var generation = 0
  nonisolated(unsafe) private var isStopped = false

  package init() {}

  /// What a waiter has seen; compare-and-wait closes the gap between looking for work and going to sleep.
  package var current: Int { condition.withLock { generation } }

  /// True once `stop` was called.
  package var hasStopped: Bool { condition.withLock { isStopped } }

  /// Wakes all threads: there may be work.
  package func notify() {
    condition.withLock {
      generation += 1
      condition.broadcast()
    }
  }

  /// Wakes all threads for good.
  package func stop() {
    condition.withLock {
      isStopped = true
      condition.broadcast()
    }
  }

  /// Sleeps until `notify` was called after `seen` was read, until `stop`, or until the time is over.
  package func wait(after seen: Int, atMost time: Duration) {
    let deadline = ContinuousClock.now + time
    condition.withLock {
      while generation == seen, !isStopped, condition.wait(until: deadline) {}
    }
  }
}
