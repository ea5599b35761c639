import Synchronization

/// Bytes of memory that what is read of the inputs of one conversion or plan takes: names, parsed values, decoded chunks.
///
/// A few bytes of a file can stand for many of memory. Parsers tell what they make, in pieces, and stop where it becomes more
/// than was allowed. Shared by all files of the inputs; safe to use from several threads. Amounts are estimates from above.
package final class MemoryAccount: Sendable {
  /// Bytes at most.
  package let limit: Int
  private let state: Mutex<State>
  /// Asked for more than was granted; false when there is none at the moment.
  private let grant: @Sendable (_ bytes: Int) -> Bool

  private struct State {
    var used = 0
    var granted: Int
  }

  /// What names and values may take beyond the budget of the buffers: an everyday checkpoint is read with any budget.
  package static let allowance = 64 << 20
  /// More is asked for in pieces of so many bytes.
  private static let step = 16 << 20

  /// An account of the inputs of a conversion with a budget, all of it granted.
  package convenience init(budget: Int) { self.init(budget: budget, granted: .max) { _ in true } }

  /// An account of which `granted` bytes may be used; `grant` is asked for each further step.
  package init(budget: Int, granted: Int, grant: @escaping @Sendable (_ bytes: Int) -> Bool) {
    let (sum, overflow) = budget.addingReportingOverflow(Self.allowance)
    limit = overflow ? .max : sum
    self.grant = grant
    state = Mutex(State(granted: min(limit, granted)))
  }

  /// Bytes that were told.
  package var used: Int { state.withLock { $0.used } }

  /// Tells of more. Throws `.unreadableInput` when it is more than the limit, and `.internal`, which may pass, when it is not
  /// granted now.
  func take(_ bytes: Int) throws(ConversionError) {
    let isGranted: Bool? = state.withLock { state in
      let (sum, overflow) = state.used.addingReportingOverflow(bytes)
      guard !overflow, sum <= limit else { return nil }
      if sum > state.granted {
        // Whole steps, and no more than the limit.
        let wanted = min((sum - state.granted + Self.step - 1) / Self.step * Self.step, limit - state.granted)
        guard grant(wanted) else { return false }
        state.granted += wanted
      }
      state.used = sum
      return true
    }
    switch isGranted {
    case true?: return
    case false?:
      throw ConversionError(.internal, "there is no memory for so many names and values at the moment", mayPass: true)
    case nil:
      throw ConversionError(
        .unreadableInput,
        "what the inputs hold beside the bytes of tensors takes more than \(limit) bytes of memory. If they are what they "
          + "should be, convert them with a larger --memory-budget")
    }
  }

  /// Takes back what was told.
  func release(_ bytes: Int) { state.withLock { $0.used -= bytes } }
}

extension Limits {
  /// Tells the account of the inputs, if there is one, of bytes that are going to be taken.
  func take(_ bytes: Int) throws(ConversionError) { try memory?.take(bytes) }
}
