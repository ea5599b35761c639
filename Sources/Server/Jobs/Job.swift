package import API
package import Core
package import Inputs

/// A job as the store keeps it. A value: changes go through `JobStore`.
package struct Job: Sendable, Hashable {
  package let id: Identifier
  package var status: JobStatus = .queued
  package let command: ConversionRequest.Command
  package let model: String
  package let sourceFormat: String
  package let targetFormat: String
  package var config: JobInput
  /// One file, or the shards of one checkpoint; empty for `convert-config`.
  package let checkpoint: [JobInput]
  /// What the client chose; budget and threads are the operator's.
  package let options: ConversionOptions
  package let createdAt: Timestamp
  /// Who submitted it.
  package var ownership = Ownership.nobody
  /// Bytes of all inputs; nil when one is a download.
  package var inputBytes: Int?
  /// Equal for jobs that must give equal outputs; nil when an input is a download, which may change.
  package var fingerprint: String?
  /// Who is told of its end.
  package var webhook: Webhook?
  /// The outputs are those of an equal job; this one never ran.
  package var isReused = false
  /// It does not expire.
  package var isPinned = false
  /// Of the latest attempt.
  package var startedAt: Timestamp?
  package var finishedAt: Timestamp?
  /// How often the job was started.
  package var attempt = 0
  /// How often it was put back after a fault that may pass.
  package var retries = 0
  /// How often the process ended, or lost the lease, while the job ran.
  package var interruptions = 0
  /// How far it was when it ended.
  package var progress: JobProgress?
  /// Sentences for the user, such as `Key not matched: KEY`.
  package var warnings: [String] = []
  /// Set while the job waits for another attempt after a fault that may pass.
  package var notBefore: Timestamp?
  /// Set when the job failed, and while it waits for another attempt.
  package var error: Fault?
  /// Set when the job succeeded.
  package var outputs: [JobOutput] = []

  /// A job as it is submitted; what becomes of it is set later.
  package init(
    id: Identifier, status: JobStatus = .queued, command: ConversionRequest.Command, model: String,
    sourceFormat: String, targetFormat: String, config: JobInput, checkpoint: [JobInput], options: ConversionOptions,
    createdAt: Timestamp, ownership: Ownership = .nobody
  ) {
    self.id = id
    self.status = status
    self.command = command
    self.model = model
    self.sourceFormat = sourceFormat
    self.targetFormat = targetFormat
    self.config = config
    self.checkpoint = checkpoint
    self.options = options
    self.createdAt = createdAt
    self.ownership = ownership
  }

  /// Interruptions that any job suffers for the faults of others that run beside it. One with so many is under
  /// suspicion: it runs alone, and what interrupts it from then on is held against it.
  package static let interruptionsInCompany = 2

  /// The inputs, the config or those of all components first.
  package var inputs: [JobInput] { config.parts + checkpoint }
}

/// A file that a job made.
package struct JobOutput: Sendable, Hashable {
  package let name: FileName
  /// Bytes.
  package let size: Int
  /// Lower-case hexadecimal.
  package let sha256: String

  package init(name: FileName, size: Int, sha256: String) {
    self.name = name
    self.size = size
    self.sha256 = sha256
  }
}
