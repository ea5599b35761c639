import Synchronization

/// Where jobs stand in the queue: 1 is next. Asks the store once a second at most, however many clients ask.
final class QueueOrder: Sendable {
  private let store: any JobStore
  private let last = Mutex<(positions: [Identifier: Int], time: ContinuousClock.Instant)?>(nil)

  /// How old an answer may be.
  private static let age: Duration = .seconds(1)

  init(store: any JobStore) { self.store = store }

  /// The position of a job; nil unless it waits for a worker and is due.
  func position(of job: Job) async throws -> Int? {
    guard job.status == .queued, job.notBefore == nil else { return nil }
    let now = ContinuousClock.now
    if let known = last.withLock({ $0 }), now - known.time < Self.age, let position = known.positions[job.id] {
      return position
    }
    let order = try await store.queue(at: .now)
    let positions = Dictionary(zip(order, 1...), uniquingKeysWith: { first, _ in first })
    last.withLock { $0 = (positions, now) }
    return positions[job.id]
  }
}
