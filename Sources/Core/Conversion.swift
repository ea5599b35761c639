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
  /// A model name or alias of the catalogue, or `auto` to find it out.
  public var model: String
  /// The source format, such as `hf` or `cs-1.8`, or `auto` to find it out.
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
  /// Does nothing.
  public func report(_ progress: ConversionProgress) {}
  /// Always false.
  public var isCancelled: Bool { false }
}

/// Runs conversions.
public enum Conversion {
  /// Converts what the request names, and publishes all outputs or none.
  ///
  /// Blocks the calling thread and uses `options.threads` more; never call it from the cooperative pool. Memory: the
  /// budget of the options, plus what the names of the tensors take. Throws `ConversionError`; then no output file exists
  /// that did not exist before.
  public static func run(
    _ request: ConversionRequest, monitor: some ConversionMonitor
  ) throws(ConversionError) -> ConversionResult {
    monitor.report(ConversionProgress(phase: .planning))
    let config = try ConfigDocument.load(path: request.config)
    var options = Planner.Options()
    options.dropUnmatchedKeys = request.options.dropUnmatchedKeys
    guard request.command == .convert else {
      let (route, findings) = try route(of: request, config, checkpoint: nil, options)
      let plan = try Planner.plan(config: config.root, along: route)
      let outputs = try OutputPaths(request, route)
      let staged = try stage(plan, at: outputs.config)
      monitor.report(ConversionProgress(phase: .publishing))
      try staged.publish()
      return ConversionResult(checkpoint: nil, config: outputs.config, warnings: findings + plan.warnings)
    }

    guard let path = request.checkpoint.first else {
      throw ConversionError(.usage, "A checkpoint is needed to convert; convert-config converts a config alone.")
    }
    let source = try Checkpoint.open(path: path)
    let (route, findings) = try route(of: request, config, checkpoint: source.tree, options)
    let plan = try Planner.plan(config: config.root, checkpoint: source.tree, along: route, options: options)
    let outputs = try OutputPaths(request, route)
    let stagedConfig = try stage(plan, at: outputs.config)
    let checkpointPath = outputs.checkpoint(for: path)
    let sink = try write(plan, from: source, to: checkpointPath, request.options, monitor)
    monitor.report(ConversionProgress(phase: .publishing))
    try publish(sink.file, stagedConfig)
    return ConversionResult(checkpoint: checkpointPath, config: outputs.config, warnings: findings + plan.warnings)
  }

  private static func route(
    of request: ConversionRequest, _ config: ConfigDocument, checkpoint: ObjectTree<TensorDescriptor>?,
    _ options: Planner.Options
  ) throws(ConversionError) -> (route: Route, findings: [Diagnostic]) {
    try Detection.route(
      model: request.model, from: request.sourceFormat, to: request.targetFormat, config: config.root,
      checkpoint: checkpoint, options: options)
  }

  /// Writes the config of a plan where nobody sees it yet.
  private static func stage(
    _ plan: Plan, at path: String
  ) throws(ConversionError) -> StagedFile {
    let staged = try StagedFile(path: path)
    try ConfigDocument(root: plan.config, syntax: plan.route.target == .hf ? .json : .yaml).save(to: staged)
    return staged
  }

  /// Computes and writes the tensors of a plan where nobody sees them yet.
  private static func write(
    _ plan: Plan, from source: any TensorSource, to path: String, _ options: ConversionOptions,
    _ monitor: some ConversionMonitor
  ) throws(ConversionError) -> any TensorSink {
    let layout = OutputLayout(plan, sharing: TorchZipWriter.sharesStorages)
    let sink = try TorchZipWriter(path: path, layout: layout.sink)
    let executor = Executor(
      source: source, budget: .init(bytes: options.memoryBudget, threads: max(options.threads, 1)), monitor: monitor)
    try executor.run(layout.jobs, into: sink)
    return sink
  }

  /// Gives both files their names, or neither.
  private static func publish(_ checkpoint: StagedFile, _ config: StagedFile) throws(ConversionError) {
    try config.synchronize()
    try checkpoint.publish()
    do throws(ConversionError) { try config.publish() } catch {
      checkpoint.withdraw()
      throw error
    }
  }
}
