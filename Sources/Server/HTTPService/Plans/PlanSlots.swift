import Synchronization

/// How many plans are being made, in all and for each owner: those of one owner leave room for others.
final class PlanSlots: Sendable {
  /// Plans at the same time; each may keep the names of a large checkpoint in memory.
  static let limit = 8
  /// Plans of one owner at the same time. Everybody without a token is one owner.
  static let limitOfOne = 4

  private let owners = Mutex<[String?: Int]>([:])

  /// Takes a slot; false, and takes none, when there is none left for the owner.
  func begin(for owner: String?) -> Bool {
    owners.withLock { owners in
      guard owners.values.reduce(0, +) < Self.limit, owners[owner, default: 0] < Self.limitOfOne else { return false }
      owners[owner, default: 0] += 1
      return true
    }
  }

  /// Gives a slot back.
  func end(for owner: String?) {
    owners.withLock { owners in
      let left = owners[owner, default: 1] - 1
      owners[owner] = left == 0 ? nil : left
    }
  }
}
