/// How far a conversion is.
package struct ConversionProgress: Sendable, Hashable {
  /// The parts of a conversion, in their order. Not every conversion has all.
  package enum Phase: String, Sendable, Hashable, CaseIterable {
    /// Inputs are being downloaded.
    case fetching
    /// Headers are read, rules are applied.
    case planning
    /// Tensors are computed and written.
    case converting
    /// What was written is read again and compared with the plan.
    case verifying
    /// Inputs and outputs are read for the digests of the report.
    case digesting
    /// Outputs are synced and get their names.
    case publishing
  }

  /// The part that has begun last.
  package var phase: Phase
  /// Bytes that the phase has done: downloaded, written, compared, read or synced.
  package var bytesDone = 0
  /// Bytes that it has to do; 0 while that is not known, and for a phase that is too short to count.
  package var bytesTotal = 0
  /// Output tensors completed.
  package var tensorsDone = 0
  /// Output tensors.
  package var tensorsTotal = 0

  /// The beginning of a phase.
  package init(phase: Phase) { self.phase = phase }
}

/// Who watches a conversion. Called from worker threads; must be quick.
package protocol ConversionMonitor: Sendable {
  /// Called after each piece of work.
  func report(_ progress: ConversionProgress)
  /// Checked before each piece of work, whatever the phase, several times a second. True ends the conversion with
  /// `.cancelled` and leaves no file; it must then stay true.
  var isCancelled: Bool { get }
}

/// A monitor that watches nothing and never cancels.
struct UnattendedMonitor: ConversionMonitor {
  /// For conversions that nobody follows.
  init() {}
  func report(_ progress: ConversionProgress) {}
  var isCancelled: Bool { false }
}
