import Core

/// Where a job is in its life; see docs/jobs.md.
enum JobStatus: String, Codable, Sendable, CaseIterable {
  case queued
  case running
  case succeeded
  case failed
  case cancelled

  /// True when nothing happens to the job any more.
  var isEnded: Bool { self == .succeeded || self == .failed || self == .cancelled }
}

/// A job as the store keeps it. A value: changes go through `JobStore`.
struct Job: Sendable, Hashable {
  let id: Identifier
  var status: JobStatus = .queued
  let command: ConversionRequest.Command
  let model: String
  let sourceFormat: String
  let targetFormat: String
  var config: JobInput
  /// One file, or the shards of one checkpoint; empty for `convert-config`.
  let checkpoint: [JobInput]
  /// What the client chose; budget and threads are the operator's.
  let options: ConversionOptions
  let createdAt: Timestamp
  /// Who submitted it.
  var ownership = Ownership.nobody
  /// Bytes of all inputs; nil when one is a download.
  var inputBytes: Int?
  /// Equal for jobs that must give equal outputs; nil when an input is a download, which may change.
  var fingerprint: String?
  /// Who is told of its end.
  var webhook: Webhook?
  /// The outputs are those of an equal job; this one never ran.
  var isReused = false
  /// It does not expire.
  var isPinned = false
  /// Of the latest attempt.
  var startedAt: Timestamp?
  var finishedAt: Timestamp?
  /// How often the job was started.
  var attempt = 0
  /// How often it was put back after a fault that may pass.
  var retries = 0
  /// How often the process ended, or lost the lease, while the job ran.
  var interruptions = 0
  /// How far it was when it ended.
  var progress: JobProgress?
  /// Sentences for the user, such as `Key not matched: KEY`.
  var warnings: [String] = []
  /// Set while the job waits for another attempt after a fault that may pass.
  var notBefore: Timestamp?
  /// Set when the job failed, and while it waits for another attempt.
  var error: Fault?
  /// Set when the job succeeded.
  var outputs: [JobOutput] = []

  /// Interruptions that any job suffers for the faults of others that run beside it. One with so many is under
  /// suspicion: it runs alone, and what interrupts it from then on is held against it.
  static let interruptionsInCompany = 2

  /// The inputs, the config or those of all components first.
  var inputs: [JobInput] { config.parts + checkpoint }
}

/// A file that a job made.
struct JobOutput: Sendable, Hashable {
  let name: FileName
  /// Bytes.
  let size: Int
  /// Lower-case hexadecimal.
  let sha256: String
}

/// How far an attempt is: bytes downloaded while fetching, bytes of tensor data after that.
struct JobProgress: Sendable, Hashable, Codable {
  /// Nil when the job is not running.
  var phase: String?
  var bytesDone = 0
  var bytesTotal = 0
  var tensorsDone = 0
  var tensorsTotal = 0
  /// When each phase of the attempt began, by its name; nil in records of former versions.
  var phases: [String: Timestamp]?

  /// Takes over when earlier phases of the attempt began, and notes the beginning of a phase that is new.
  mutating func follow(_ earlier: JobProgress, at now: Timestamp = .now) {
    phases = earlier.phases ?? [:]
    if let phase, phases?[phase] == nil { phases?[phase] = now }
  }
}

extension JobProgress {
  /// The progress of a conversion.
  init(_ progress: ConversionProgress) {
    self.init(
      phase: progress.phase.rawValue, bytesDone: progress.bytesDone, bytesTotal: progress.bytesTotal,
      tensorsDone: progress.tensorsDone, tensorsTotal: progress.tensorsTotal)
  }
}
