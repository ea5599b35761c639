/// The options that the command line and the `options` of a job share.
///
/// Encoded, it is the `options` object of a job without what the operator decides: budget, threads, durability and report.
package struct ConversionOptions: Sendable, Hashable {
  /// Leave keys out that no rule matches, instead of failing.
  package var dropUnmatchedKeys = false
  /// Convert a checkpoint that is not the whole model that its config describes: what is missing, spare or of another
  /// shape is then a warning.
  package var allowIncomplete = false
  /// Container of the checkpoint; nil is what the target's own tool writes.
  package var outputFormat: OutputFormat?
  /// Bytes of tensor data that one file may hold; 0 writes one file, nil what the target's tool does: see `shardSize`.
  package var maxShardSize: Int?
  /// Write a model of several components for Hugging Face as the one checkpoint that a class of transformers loads, not as
  /// a folder for each component.
  package var oneCheckpoint = false
  /// Precision of the model's floating-point tensors.
  package var dtype = Precision.keep
  /// Open the written checkpoint again and compare every tensor with the plan before it is published.
  package var verify = false
  /// Read a checkpoint that is elsewhere in ranges while it is converted, instead of downloading it before. Outputs do not
  /// depend on it.
  package var stream = false
  /// Write a report of inputs, outputs and every tensor beside the outputs.
  package var report = false
  /// Bytes that all buffers of the conversion may take together.
  package var memoryBudget = 256 << 20
  /// Threads that compute and write.
  package var threads = 2
  /// Wait until the outputs are on the disk, so that they outlive a power failure from the moment they have their names.
  package var durable = true

  package init() {}

  /// Bytes of a shard unless somebody asks for another size, as in the tool of releases from 2.0 on.
  static let standardShardSize = 10_000_000_000

  /// Bytes of tensor data that one file of a conversion may hold; nil when the checkpoint is one file.
  ///
  /// Releases from 2.0 on write a folder of shards for Hugging Face, also when one shard is enough; older ones one file.
  func shardSize(from source: Format, to target: Format) -> Int? {
    guard target == .hf else { return nil }
    if let maxShardSize { return maxShardSize == 0 ? nil : maxShardSize }
    guard case .cs(let release) = source, release >= Release(2, 0) else { return nil }
    return Self.standardShardSize
  }

  /// An option that cannot be used, by its name in JSON, and why.
  package struct Problem: Sendable, Hashable {
    /// Such as `output_format`.
    package let option: String
    /// What to do instead.
    package let message: String
  }

  /// Every option that means nothing for a target.
  package func problems(target: Format) -> [Problem] {
    var problems: [Problem] = []
    let allowed = OutputFormat.allowed(for: target)
    if let outputFormat, !allowed.contains(outputFormat) {
      let names = allowed.map(\.rawValue).joined(separator: " or ")
      problems.append(
        Problem(
          option: "output_format", message: "A checkpoint of \(target) is written as \(names), not \(outputFormat)"))
    }
    if oneCheckpoint, target.isCS {
      problems.append(
        Problem(option: "one_checkpoint", message: "A Model Zoo checkpoint is one in any case; leave the option out"))
    }
    if let maxShardSize {
      if target.isCS, maxShardSize > 0 {
        problems.append(Problem(option: "max_shard_size", message: "Only Hugging Face checkpoints are cut into shards"))
      } else if maxShardSize < 0 {
        problems.append(
          Problem(option: "max_shard_size", message: "A shard has at least one byte; 0 writes one file"))
      }
    }
    return problems
  }
}

extension ConversionOptions: Codable {
  private enum CodingKeys: String, CodingKey {
    case dropUnmatchedKeys, allowIncomplete, outputFormat, maxShardSize, oneCheckpoint, dtype, verify, stream
  }

  /// Reads options; absent ones have their defaults, so that jobs of an earlier version are still read.
  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    dropUnmatchedKeys = try container.decodeIfPresent(Bool.self, forKey: .dropUnmatchedKeys) ?? false
    allowIncomplete = try container.decodeIfPresent(Bool.self, forKey: .allowIncomplete) ?? false
    outputFormat = try container.decodeIfPresent(OutputFormat.self, forKey: .outputFormat)
    maxShardSize = try container.decodeIfPresent(Int.self, forKey: .maxShardSize)
    oneCheckpoint = try container.decodeIfPresent(Bool.self, forKey: .oneCheckpoint) ?? false
    dtype = try container.decodeIfPresent(Precision.self, forKey: .dtype) ?? .keep
    verify = try container.decodeIfPresent(Bool.self, forKey: .verify) ?? false
    stream = try container.decodeIfPresent(Bool.self, forKey: .stream) ?? false
  }

  /// Writes options; those that are not set are null.
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(dropUnmatchedKeys, forKey: .dropUnmatchedKeys)
    try container.encode(allowIncomplete, forKey: .allowIncomplete)
    try container.encode(outputFormat, forKey: .outputFormat)
    try container.encode(maxShardSize, forKey: .maxShardSize)
    try container.encode(oneCheckpoint, forKey: .oneCheckpoint)
    try container.encode(dtype, forKey: .dtype)
    try container.encode(verify, forKey: .verify)
    try container.encode(stream, forKey: .stream)
  }
}

extension MemoryPlan {
  /// What the options of a conversion allow.
  init(_ options: ConversionOptions) { self.init(bytes: options.memoryBudget, threads: options.threads) }
}
