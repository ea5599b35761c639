import Synchronization

/// The values that were made last, by key. Bounded: when it is full, it begins anew.
///
/// Whoever takes a value out has to know whether it still holds.
package final class RecentValues<Key: Hashable & Sendable, Value: Sendable>: Sendable {
  private let limit: Int
  private let values = Mutex<[Key: Value]>([:])

  /// Precondition: `limit`, a number of values, is positive.
  package init(limit: Int) { self.limit = limit }

  package subscript(key: Key) -> Value? {
    get { values.withLock { $0[key] } }
    set {
      values.withLock { values in
        if values.count >= limit, values[key] == nil { values.removeAll(keepingCapacity: true) }
        values[key] = newValue
      }
    }
  }
}
