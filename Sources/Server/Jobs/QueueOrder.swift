import API
import Synchronization

/// Where jobs stand in the queue: 1 is next.
///
/// The order is read from the store once a second at most, however many clients ask, because reading it takes O(queued
/// jobs). So an answer is up to a second old, and a job that came since then has none yet.
package final class QueueOrder: Sendable {
  private struct Order {
    var positions: [Identifier: Int] = [:]
    /// When it was asked for; nil for never.
    var time: ContinuousClock.Instant?
  }

  private let store: any JobStore
  private let last = Mutex(Order())

  /// How old an answer may be.
  private static let age: Duration = .seconds(1)

  package init(store: any JobStore) { self.store = store }

  /// The position of a job; nil unless it waits for a worker, is due, and was queued when the order was read.
  package func position(of job: Job) async throws -> Int? {
    guard job.status == .queued, job.notBefore == nil else { return nil }
    let now = ContinuousClock.now
    let known = last.withLock { order -> [Identifier: Int]? in
      if let time = order.time, now - time < Self.age { return order.positions }
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
