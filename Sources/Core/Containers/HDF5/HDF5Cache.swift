import Synchronization

/// A cache with a bound on the cost of what it holds; the entries that were not used for longest go first.
///
/// Safe to use from several threads. The lock is never held while a value is computed, so two threads may compute the
/// same one.
final class HDF5Cache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
  private struct State {
    var entries: [Key: (value: Value, cost: Int, lastUse: UInt64)] = [:]
    var cost = 0
    var clock: UInt64 = 0
  }

  private let limit: Int
  private let state = Mutex(State())

  /// An empty cache. A value that costs more than `limit` is not kept.
  init(limit: Int) { self.limit = limit }

  /// A value that is held, now the most recently used. Complexity: O(1).
  subscript(key: Key) -> Value? {
    state.withLock { state in
      guard let value = state.entries[key]?.value else { return nil }
      state.clock += 1
      state.entries[key]?.lastUse = state.clock
      return value
    }
  }

  /// Keeps a value. `cost` is what it takes in bytes; 4 KiB are counted at least, so that the number of entries is
  /// bounded too. Complexity: amortised O(log entries), as a quarter of the limit is freed at once.
  func insert(_ value: Value, for key: Key, cost: Int) {
    let cost = max(cost, 4096)
    guard cost <= limit else { return }
    state.withLock { state in
      if state.cost + cost > limit {
        for (old, entry) in state.entries.sorted(by: { $0.value.lastUse < $1.value.lastUse }) {
          guard state.cost + cost > limit - limit / 4, state.cost > 0 else { break }
          state.entries[old] = nil
          state.cost -= entry.cost
        }
      }
      state.clock += 1
      if let previous = state.entries.updateValue((value, cost, state.clock), forKey: key) {
        state.cost -= previous.cost
      }
      state.cost += cost
    }
  }
}
