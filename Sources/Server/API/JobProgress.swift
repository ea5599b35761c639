package import Core

/// How far an attempt is. Bytes are those of the phase; when the job has ended, the bytes of tensor data.
package struct JobProgress: Sendable, Hashable, Codable {
  /// Nil when the job is not running.
  package var phase: String?
  package var bytesDone = 0
  package var bytesTotal = 0
  package var tensorsDone = 0
  package var tensorsTotal = 0
  /// When each phase of the attempt began, by its name; nil in records of former versions.
  package var phases: [String: Timestamp]?

  package init(
    phase: String? = nil, bytesDone: Int = 0, bytesTotal: Int = 0, tensorsDone: Int = 0, tensorsTotal: Int = 0,
    phases: [String: Timestamp]? = nil
  ) {
    self.phase = phase
    self.bytesDone = bytesDone
    self.bytesTotal = bytesTotal
    self.tensorsDone = tensorsDone
    self.tensorsTotal = tensorsTotal
    self.phases = phases
  }

  /// Takes over when earlier phases of the attempt began, and notes the beginning of a phase that is new.
  package mutating func follow(_ earlier: JobProgress, at now: Timestamp = .now) {
    phases = earlier.phases ?? [:]
    if let phase, phases?[phase] == nil { phases?[phase] = now }
  }
}

extension JobProgress {
  /// The progress of a conversion.
  package init(_ progress: ConversionProgress) {
    self.init(
      phase: progress.phase.rawValue, bytesDone: progress.bytesDone, bytesTotal: progress.bytesTotal,
      tensorsDone: progress.tensorsDone, tensorsTotal: progress.tensorsTotal)
  }
}
