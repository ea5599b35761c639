/// A conversion from start to end. Read this file first: it names every stage and the type that passes between them.
///
///     request ── Catalogue ──▶ route ──▶ Planner(config, state dict, rules) ──▶ Plan ──▶ Executor ──▶ files
///
/// The command line and the job service both go through `Conversion.run`: there is one code path.
public struct ConversionRequest: Sendable {
  /// What to convert.
  public enum Command: String, Sendable, CaseIterable {
    /// Checkpoint and config.
    case convert
    /// The config alone.
    case convertConfig = "convert-config"
  }

  /// What to convert.
  public var command: Command
  /// A model name or alias of the catalogue.
  public var model: String
  /// The source format, such as `hf` or `cs-1.8`.
  public var sourceFormat: String
  /// The target format.
  public var targetFormat: String
  /// Path of the config.
  public var config: String
  /// Paths of the checkpoint: one file, or the shards of one. Empty for `convert-config`.
  public var checkpoint: [String]
  /// Folder for the outputs, created if missing; nil puts each output beside its input.
  public var outputDirectory: String?
  /// Everything optional.
  public var options: ConversionOptions

  /// A request. Nothing is checked before `Conversion.run`.
  public init(
    command: Command, model: String, sourceFormat: String, targetFormat: String, config: String,
    checkpoint: [String] = [], outputDirectory: String? = nil, options: ConversionOptions = ConversionOptions()
  ) {
    self.command = command
    self.model = model
    self.sourceFormat = sourceFormat
    self.targetFormat = targetFormat
    self.config = config
    self.checkpoint = checkpoint
    self.outputDirectory = outputDirectory
    self.options = options
  }
}

/// The options that the command line and the `options` of a job share.
public struct ConversionOptions: Sendable, Hashable {
  /// Leave keys out that no rule matches, instead of failing.
  public var dropUnmatchedKeys = false
  /// Bytes that all buffers of the conversion may take together.
  public var memoryBudget = 256 << 20
  /// Threads that compute and write.
  public var threads = 2

  /// The defaults.
  public init() {}
}

/// What a conversion wrote.
public struct ConversionResult: Sendable {
  /// The checkpoint, nil for `convert-config`.
  public let checkpoint: String?
  /// The config.
  public let config: String
  /// Everything that the user should know and that did not stop the conversion.
  public let warnings: [Diagnostic]
}

/// How far a conversion is.
public struct ConversionProgress: Sendable, Hashable {
  /// What is going on.
  public enum Phase: String, Sendable, Hashable {
    /// Inputs are being downloaded.
    case fetching
    /// Headers are read, rules are applied.
    case planning
    /// Tensors are computed and written.
    case converting
    /// Outputs are synced and get their names.
    case publishing
  }

  /// What is going on.
  public var phase: Phase
  /// Bytes of tensor data written so far.
  public var bytesDone = 0
  /// Bytes of tensor data in the output.
  public var bytesTotal = 0
  /// Output tensors completed.
  public var tensorsDone = 0
  /// Output tensors.
  public var tensorsTotal = 0

  /// The beginning of a phase.
  public init(phase: Phase) { self.phase = phase }
}

/// Who watches a conversion. Called from worker threads; must be quick.
public protocol ConversionMonitor: Sendable {
  /// Called after each piece of work.
  func report(_ progress: ConversionProgress)
  /// Checked before each piece of work; true ends the conversion with `.cancelled` and leaves no file.
  var isCancelled: Bool { get }
}

/// A monitor that watches nothing and never cancels.
public struct UnattendedMonitor: ConversionMonitor {
  /// A monitor.
  public init() {}
  public func report(_ progress: ConversionProgress) {}
  public var isCancelled: Bool { false }
}
