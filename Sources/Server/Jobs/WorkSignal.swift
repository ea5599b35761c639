import Foundation

/// Wakes worker threads: when a job was added, when the service stops, and at the latest after a given time.
///
/// Sleeps by the monotonic clock. Foundation's condition takes moments of the wall clock: when that is set back by an
/// hour, a sleep of two seconds would last for an hour.
final class WorkSignal: Sendable {
  /// Both are initialised once, before the object can be shared, and live as long as it does.
  nonisolated(unsafe) private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  nonisolated(unsafe) private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  /// `nonisolated(unsafe)`: both are touched with the mutex locked only.
  nonisolated(unsafe) private var generation = 0
  nonisolated(unsafe) private var isStopped = false

  init() {
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
    pthread_mutex_init(mutex, nil)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  /// What a waiter has seen; compare-and-wait closes the gap between looking for work and going to sleep.
  var current: Int { withLock { generation } }

  /// True once `stop` was called.
  var hasStopped: Bool { withLock { isStopped } }

  /// Wakes all threads: there may be work.
  func notify() {
    withLock {
      generation += 1
      pthread_cond_broadcast(condition)
    }
  }

  /// Wakes all threads for good.
  func stop() {
    withLock {
      isStopped = true
      pthread_cond_broadcast(condition)
    }
  }

  /// Sleeps until `notify` was called after `seen` was read, until `stop`, or until the time is over.
  func wait(after seen: Int, atMost time: Duration) {
    var deadline = timespec()
    clock_gettime(CLOCK_MONOTONIC, &deadline)
    let (seconds, attoseconds) = max(time, .zero).components
    let nanoseconds = deadline.tv_nsec + Int(attoseconds / 1_000_000_000)
    deadline.tv_sec += Int(seconds) + nanoseconds / 1_000_000_000
    deadline.tv_nsec = nanoseconds % 1_000_000_000
    withLock {
      while generation == seen, !isStopped, pthread_cond_timedwait(condition, mutex, &deadline) == 0 {}
    }
  }

  private func withLock<Value>(_ body: () -> Value) -> Value {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body()
  }
}
