import API
import Synchronization

/// Where jobs stand in the queue: 1 is next.
///
/// The order is read from the store once in a while, however many clients ask, because reading it takes O(queued jobs). So an
/// answer may be as old as that, and a job that came since then has none yet.
package final class QueueOrder: Sendable {
  private struct Order {
    var positions: [Identifier: Int] = [:]
    /// When it was asked for; nil for never.
    var time: ContinuousClock.Instant?
  }

  private let store: any JobStore
  private let last = Mutex(Order())

  private let age: Duration

  /// Answers are at most `age` old.
  package init(store: any JobStore, age: Duration = .seconds(1)) {
    self.store = store
    self.age = age
  }

  /// The position of a job; nil unless it waits for a worker, is due, and was queued when the order was read.
  package func position(of job: Job) async throws -> Int? {
    guard job.status == .queued, job.notBefore == nil else { return nil }
    let now = ContinuousClock.now
    let known = last.withLock { order -> [Identifier: Int]? in
      if let time = order.time, now - time < age { return order.positions }
      // Who asks while the order is being read gets the one before.
      order.time = now
      return nil
    }
    if let known { return known[job.id] }
    let order = try await store.queue(at: .now)
    let positions = Dictionary(zip(order, 1...), uniquingKeysWith: { first, _ in first })
    last.withLock { $0.positions = positions }
    return positions[job.id]
  }
}
