package import Core
import Synchronization

/// The memory that names and values of the inputs of one job or plan take from a gate of the service, given back at its end.
///
/// A job begins with what it holds already, a plan with a small amount that the slots of plans account for. What the inputs
/// need beyond that has to be free at that moment: a plan does not wait for jobs that run for hours, and a job is run again
/// later.
package final class InputMemory: Sendable {
  private let gate: MemoryGate
  private let state = Mutex((held: 0, isRefused: false))

  /// What a plan begins with.
  package static let planBytes = 16 << 20

  package init(gate: MemoryGate) { self.gate = gate }

  deinit { gate.release(state.withLock { $0.held }) }

  /// True when the gate had no memory left.
  package var isRefused: Bool { state.withLock { $0.isRefused } }

  /// The account of the inputs, with `granted` bytes to begin with. It holds this object.
  package func account(budget: Int, granted: Int) -> MemoryAccount {
    MemoryAccount(budget: budget, granted: granted) { [self] bytes in
      guard gate.take(bytes) else {
        state.withLock { $0.isRefused = true }
        return false
      }
      state.withLock { $0.held += bytes }
      return true
    }
  }
}
