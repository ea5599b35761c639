import Foundation

/// A mutex and a condition whose waits end by the monotonic clock.
///
/// Foundation's condition takes moments of the wall clock: when that is set back by an hour, a wait of two seconds lasts
/// for an hour.
final class MonotonicCondition: Sendable {
  /// Both are initialised once, before the object can be shared, and live as long as it does.
  nonisolated(unsafe) private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  nonisolated(unsafe) private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

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

  /// Runs `body` with the mutex locked.
  func withLock<Value>(_ body: () -> Value) -> Value {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body()
  }

  /// Wakes all waiters. Only with the mutex locked.
  func broadcast() { pthread_cond_broadcast(condition) }

  /// Lets go of the mutex until a broadcast comes or the deadline has passed; false in the latter case. A wait may also
  /// end for no reason. Only with the mutex locked.
  func wait(until deadline: ContinuousClock.Instant) -> Bool {
    let (seconds, attoseconds) = max(deadline - .now, .zero).components
    var moment = timespec()
    clock_gettime(CLOCK_MONOTONIC, &moment)
    let nanoseconds = moment.tv_nsec + Int(attoseconds / 1_000_000_000)
    moment.tv_sec += Int(seconds) + nanoseconds / 1_000_000_000
    moment.tv_nsec = nanoseconds % 1_000_000_000
    return pthread_cond_timedwait(condition, mutex, &moment) == 0
  }
}
