/// A conversion from start to end. Read this file first: it names every stage and the type that passes between them.
///
///     request ── Catalogue ──▶ route ──▶ Planner(config, state dict, rules) ──▶ Plan ──▶ Executor ──▶ files
///                └───────────────────── prepare ──────────────────────┘      └──── execute ────┘
///
/// `Conversion.prepare` decides everything and writes nothing; what it returns says what the conversion costs, and its
/// `execute` writes the files. The command line and the job service both go this way.
package struct ConversionRequest: Sendable {
  /// How much of a model is converted.
  package enum Command: String, Sendable, CaseIterable {
    /// Checkpoint and config.
    case convert
    /// The config alone.
    case convertConfig = "convert-config"
  }

  /// Whether a checkpoint goes with the config.
  package var command: Command
  /// A model name or alias of the catalogue, or `auto` to find it out.
  package var model: String
  /// The source format, such as `hf` or `cs-1.8`, or `auto` to find it out.
  package var sourceFormat: String
  package var targetFormat: String
  /// Path of the config. For a composed model of Hugging Face, the folder that holds a folder for each component.
  package var config: String
  /// Paths of the checkpoint: one file, the shards of one, a shard index, both, or a folder. Empty for `convert-config`.
  package var checkpoint: [String]
  /// The inputs of each component of a composed model of Hugging Face, where they are not in a folder that `config` and
  /// `checkpoint` name.
  package var components: [ComponentInput] = []
  /// Folder for the outputs, created if missing; nil puts each output beside its input.
  package var outputDirectory: String?
  /// Everything optional.
  package var options: ConversionOptions
  /// Inputs that are not on the disk under their paths: in memory, or on another machine and read in ranges.
  package var files = InputFiles.onDisk
  /// Paths of files on the disk that are published with the outputs as they are, under their names.
  package var companions: [String] = []
  /// Messages name outputs without their folders, as reports do. Set where the reader has no access to the machine, such as a
  /// client of the service. `files` says the same for inputs.
  package var hidesFolders = false
  /// What is told of memory that names and values of the inputs take; nil makes an account of `options.memoryBudget`.
  package var memory: MemoryAccount?

  /// A request. Nothing is checked before `Conversion.run`.
  package init(
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

/// Prepares and runs conversions.
package enum Conversion {
  /// Prepares a request and executes it: what somebody does who has nothing to decide in between.
  ///
  /// Blocks the calling thread and uses `options.threads` more; never call it from the cooperative pool. Memory: the
  /// budget of the options, plus what the names of the tensors take. Throws `ConversionError`; then no output file exists
  /// that did not exist before.
  package static func run(
    _ request: ConversionRequest, monitor: some ConversionMonitor
  ) throws(ConversionError) -> ConversionResult {
    try prepare(request, monitor: monitor).execute(monitor)
  }

  /// Decides everything and writes nothing.
  ///
  /// Blocks; reads headers only. Throws `ConversionError`, `.cancelled` among them. Complexity: O(tensors log tensors), and
  /// one pass over the headers.
  ///
  ///     let prepared = try Conversion.prepare(request, monitor: monitor)
  ///     guard prepared.costs.diskBytes <= room else { ... }
  ///     let result = try prepared.execute(monitor)
  package static func prepare(
    _ request: ConversionRequest, monitor: some ConversionMonitor
  ) throws(ConversionError) -> PreparedConversion {
    try Interruption.heeding({ monitor.isCancelled }) { () throws(ConversionError) in
      let hasCheckpoint = !request.checkpoint.isEmpty || request.components.contains { !$0.checkpoint.isEmpty }
      guard request.command == .convertConfig || hasCheckpoint else {
        throw ConversionError(.usage, "The request names no checkpoint.")
      }
      monitor.report(ConversionProgress(phase: .planning))
      return try PreparedConversion(plan(request))
    }
  }

  /// A request and the plan for it.
  struct Planned {
    let request: ConversionRequest
    let plan: Plan
    let inputs: RequestInputs
    /// Nil for `convert-config`, and where only a plan was asked for.
    let checkpoint: CheckpointInput?
    /// The config of the source.
    let config: ConfigObject
    let memory: MemoryPlan
  }

  /// Plans a request. Unlike a conversion, a plan may do without a checkpoint: then it is for the one that the config
  /// describes.
  static func plan(_ request: ConversionRequest) throws(ConversionError) -> Planned {
    if let target = Format(target: request.targetFormat), let problem = request.options.problems(target: target).first {
      throw ConversionError(.usage, "\(problem.message) (\(problem.option)).")
    }
    // As the vendor's tool: a format that is named says how its configs are written, whatever the file is called.
    let syntax = Format(request.sourceFormat).map { $0.isCS ? ConfigDocument.Syntax.yaml : .json }
    let account = request.memory ?? MemoryAccount(budget: request.options.memoryBudget)
    var memory = MemoryPlan(request.options)
    var limits = Limits.standard
    limits.memory = account
    let inputs = try RequestInputs(request)
    let config = try inputs.config(syntax: syntax, limits: limits, files: request.files)
    let checkpoint =
      request.command == .convert
      ? try inputs.checkpoint(limits: limits, cacheBytes: memory.cacheBytes, files: request.files) : nil
    var options = Planner.Options()
    options.dropUnmatchedKeys = request.options.dropUnmatchedKeys
    options.allowIncomplete = request.options.allowIncomplete
    options.precision = request.options.dtype
    options.oneCheckpoint = request.options.oneCheckpoint
    if let checkpoint {
      try limits.take(planBytes(of: checkpoint.source.tree))
      options.containerIsFlat = checkpoint.source.kind == .safetensors
    }
    let (route, findings) = try Detection.route(
      model: request.model, from: request.sourceFormat, to: request.targetFormat, config: config.root,
      checkpoint: checkpoint?.source.tree, options: options)
    var plan: Plan
    if request.command == .convertConfig {
      plan = try Planner.plan(config: config.root, along: route)
    } else {
      let tree: ObjectTree<TensorDescriptor>
      if let checkpoint {
        tree = checkpoint.source.tree
      } else {
        tree = try Planner.described(by: config.root, along: route)
      }
      plan = try Planner.plan(config: config.root, checkpoint: tree, along: route, options: options)
    }
    plan.warnings.insert(contentsOf: findings + config.warnings + (checkpoint?.source.notices ?? []), at: 0)
    memory.keepsChunks = checkpoint?.source.kind == .hdf5
    memory.spools = checkpoint?.files.contains(where: request.files.isRemote) ?? false
    memory.excess = max(account.used - MemoryAccount.allowance, 0)
    return Planned(
      request: request, plan: plan, inputs: inputs, checkpoint: checkpoint, config: config.root, memory: memory)
  }

  /// Bytes that planning and writing take for the names and values of a tree: it is made again for the plan and for the
  /// output, and each tensor has its expression, its place and its line in a report.
  private static func planBytes(of tree: ObjectTree<TensorDescriptor>) -> Int {
    switch tree {
    case .tensor: 2_048
    case .dictionary(let entries, _): entries.reduce(256) { $0 + 256 + planBytes(of: $1.value) }
    case .list(let values), .tuple(let values), .set(let values): values.reduce(256) { $0 + 64 + planBytes(of: $1) }
    default: 192
    }
  }
}

extension Conversion {
  /// Bytes of disk beside the outputs that a conversion which streams takes, unless single tensors need more.
  package static let spoolBytes = SpooledSource.standardCapacity
}
