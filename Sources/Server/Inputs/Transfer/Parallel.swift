import Dispatch
import Foundation
import Synchronization

/// Blocking work on a few threads at once, for transfers that mostly wait.
enum Parallel {
  /// Applies `body` to every item on at most `limit` threads and answers the results in order. Blocks.
  ///
  /// The first failure is thrown; items that were not begun then are left out, and the closure that `body` gets as its
  /// second argument answers true, so that those under way can end.
  static func map<Item: Sendable, Value: Sendable>(
    _ items: [Item], limit: Int, isCancelled: @escaping @Sendable () -> Bool,
    _ body: @escaping @Sendable (Item, @escaping @Sendable () -> Bool) throws(TransferFailure) -> Value
  ) throws(TransferFailure) -> [Value] {
    guard items.count > 1 else {
      var values: [Value] = []
      for item in items { values.append(try body(item, isCancelled)) }
      return values
    }
    let work = Work<Value>(count: items.count)
    let group = DispatchGroup()
    for _ in 0..<min(max(limit, 1), items.count) {
      group.enter()
      Thread {
        defer { group.leave() }
        while let index = work.next() {
          do throws(TransferFailure) {
            work.finish(index, try body(items[index], { isCancelled() || work.hasFailed }))
          } catch {
            work.fail(error)
          }
        }
      }.start()
    }
    group.wait()
    return try work.results()
  }

  private final class Work<Value: Sendable>: Sendable {
    private struct State {
      var next = 0
      var values: [Value?]
      var failure: TransferFailure?
    }

    private let state: Mutex<State>

    init(count: Int) { state = Mutex(State(values: Array(repeating: nil, count: count))) }

    var hasFailed: Bool { state.withLock { $0.failure != nil } }

    func next() -> Int? {
      state.withLock { state in
        guard state.failure == nil, state.next < state.values.count else { return nil }
        state.next += 1
        return state.next - 1
      }
    }

    func finish(_ index: Int, _ value: Value) { state.withLock { $0.values[index] = value } }

    func fail(_ failure: TransferFailure) { state.withLock { $0.failure = $0.failure ?? failure } }

    func results() throws(TransferFailure) -> [Value] {
      let state = state.withLock { $0 }
      if let failure = state.failure { throw failure }
      return state.values.compactMap { $0 }
    }
  }
}
