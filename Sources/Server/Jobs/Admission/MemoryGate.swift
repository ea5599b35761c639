/// A budget of bytes that threads share. First come, first served, so that a large wish is never passed over for ever.
package final class MemoryGate: Sendable {
  /// Bytes of the whole budget.
  package let bytes: Int
  /// Guards the rest. `nonisolated(unsafe)`: it is touched with the condition locked only.
  private let condition = MonotonicCondition()
  nonisolated(unsafe) private var free: Int
  nonisolated(unsafe) private var nextTicket = 0
  nonisolated(unsafe) private var serving = 0

  package init(bytes: Int) {
    self.bytes = bytes
    free = bytes
  }

  /// Bytes that nobody holds.
  package var available: Int { condition.withLock { free } }

  /// Waits until `wanted` bytes are free and this caller's turn has come, and takes them. False, with nothing taken,
  /// when `isStopped` became true; it is asked several times a second. Precondition: `wanted` is at most `bytes`.
  func reserve(_ wanted: Int, isStopped: () -> Bool) -> Bool {
    precondition(wanted <= bytes, "no gate lets through more than its budget")
    return condition.withLock {
      let ticket = nextTicket
      nextTicket += 1
      while serving != ticket || free < wanted, !isStopped() {
        _ = condition.wait(until: .now + .milliseconds(200))
      }
      // Once stopped, turns do not matter any more: everybody leaves.
      let isServed = serving == ticket && free >= wanted && !isStopped()
      if isServed { free -= wanted }
      serving = max(serving, ticket + 1)
      condition.broadcast()
      return isServed
    }
  }

  /// Takes bytes if they are free now; nobody who waits is passed over for long, as what is taken so is given back soon.
  package func take(_ wanted: Int) -> Bool {
    condition.withLock {
      guard free >= wanted else { return false }
      free -= wanted
      return true
    }
  }

  /// Gives bytes back.
  package func release(_ bytes: Int) {
    condition.withLock {
      free += bytes
      condition.broadcast()
    }
  }
}
