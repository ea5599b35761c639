/// A conversion from start to end. Read this file first: it names every stage and the type that passes between them.
///
///     request ── Catalogue ──▶ route ──▶ Planner(config, state dict, rules) ──▶ Plan ──▶ Executor ──▶ files
///
/// The command line and the job service both go through `Conversion.run`: there is one code path.
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

/// What a conversion wrote.
package struct ConversionResult: Sendable {
  /// The checkpoint, or the folder with its shards, one for each component of a composed model; none for `convert-config`.
  package let checkpoints: [String]
  /// The config, one for each component.
  package let configs: [String]
  /// Every file that was written, the checkpoint's first.
  package let files: [String]
  /// Everything that the user should know and that did not stop the conversion.
  package let warnings: [Diagnostic]

  /// The first checkpoint; nil for `convert-config`.
  package var checkpoint: String? { checkpoints.first }
  /// The first config.
  package var config: String { configs[0] }
}

extension ConversionResult {
  fileprivate init(_ outputs: OutputPaths, _ publication: Publication, _ warnings: [Diagnostic]) {
    self.init(
      checkpoints: outputs.places.compactMap(\.checkpoint), configs: outputs.places.map(\.config),
      files: publication.paths, warnings: warnings)
  }
}

/// Runs conversions.
package enum Conversion {
  /// Converts what the request names, and publishes all outputs or none.
  ///
  /// Blocks the calling thread and uses `options.threads` more; never call it from the cooperative pool. Memory: the
  /// budget of the options, plus what the names of the tensors take. Throws `ConversionError`; then no output file exists
  /// that did not exist before.
  package static func run(
    _ request: ConversionRequest, monitor: some ConversionMonitor
  ) throws(ConversionError) -> ConversionResult {
    try Interruption.heeding({ monitor.isCancelled }) { () throws(ConversionError) in
      try convert(request, monitor)
    }
  }

  private static func convert(
    _ request: ConversionRequest, _ monitor: some ConversionMonitor
  ) throws(ConversionError) -> ConversionResult {
    let hasCheckpoint = !request.checkpoint.isEmpty || request.components.contains { !$0.checkpoint.isEmpty }
    guard request.command == .convertConfig || hasCheckpoint else {
      throw ConversionError(.usage, "The request names no checkpoint.")
    }
    monitor.report(ConversionProgress(phase: .planning))
    var request = request
    let memory = request.memory ?? MemoryAccount(budget: request.options.memoryBudget)
    request.memory = memory
    let (plan, inputs, input, _) = try plan(request)
    let outputs = try OutputPaths(request, plan.route, stem: input?.stem, configStem: inputs.configStem)
    do throws(ConversionError) {
      if let input { return try write(plan, from: input, inputs, to: outputs, request, monitor) }
      var publication = Publication()
      for file in try stage(plan, at: outputs) { publication.add(file) }
      for file in try CompanionFiles.stage(request.companions, in: outputs.folder) { publication.add(file) }
      if request.options.report {
        let report = try report(request, plan, outputs, monitor).document(
          inputs: inputs.namedConfigs, outputs: publication.files, tensors: [], warnings: plan.warnings)
        publication.add(try stage(report, .json, at: outputs.report))
      }
      monitor.report(ConversionProgress(phase: .publishing))
      try publication.publish(durably: request.options.durable)
      return ConversionResult(outputs, publication, plan.warnings)
    } catch {
      outputs.removeEmptyFolder()
      throw error
    }
  }

  /// Decides everything and reads headers only. The checkpoint is nil for `convert-config`; the config is that of the source.
  ///
  /// Throws `ConversionError`. Complexity: O(tensors log tensors), and one pass over the headers.
  static func plan(
    _ request: ConversionRequest
  ) throws(ConversionError) -> (
    plan: Plan, inputs: RequestInputs, checkpoint: CheckpointInput?, config: ConfigObject
  ) {
    if let target = Format(target: request.targetFormat), let problem = request.options.problems(target: target).first {
      throw ConversionError(.usage, "\(problem.message) (\(problem.option)).")
    }
    // As the vendor's tool: a format that is named says how its configs are written, whatever the file is called.
    let syntax = Format(request.sourceFormat).map { $0.isCS ? ConfigDocument.Syntax.yaml : .json }
    var limits = Limits.standard
    limits.memory = request.memory ?? MemoryAccount(budget: request.options.memoryBudget)
    let inputs = try RequestInputs(request)
    let config = try inputs.config(syntax: syntax, limits: limits, files: request.files)
    var options = Planner.Options()
    options.dropUnmatchedKeys = request.options.dropUnmatchedKeys
    options.allowIncomplete = request.options.allowIncomplete
    options.precision = request.options.dtype
    options.oneCheckpoint = request.options.oneCheckpoint
    guard request.command == .convert else {
      let (route, findings) = try route(of: request, config, checkpoint: nil, options)
      var plan = try Planner.plan(config: config.root, along: route)
      plan.warnings.insert(contentsOf: findings + config.warnings, at: 0)
      return (plan, inputs, nil, config.root)
    }
    guard
      let input = try inputs.checkpoint(
        limits: limits, cacheBytes: Executor.Budget(request.options).cacheBytes, files: request.files)
    else {
      // Only a plan may do without a checkpoint: it judges what the config describes.
      let (route, findings) = try route(of: request, config, checkpoint: nil, options)
      let described = try Planner.described(by: config.root, along: route)
      var plan = try Planner.plan(config: config.root, checkpoint: described, along: route, options: options)
      plan.warnings.insert(contentsOf: findings + config.warnings, at: 0)
      return (plan, inputs, nil, config.root)
    }
    try limits.take(Self.planBytes(of: input.source.tree))
    options.containerIsFlat = input.source.kind == .safetensors
    let (route, findings) = try route(of: request, config, checkpoint: input.source.tree, options)
    var plan = try Planner.plan(config: config.root, checkpoint: input.source.tree, along: route, options: options)
    plan.warnings.insert(contentsOf: findings + config.warnings + input.source.notices, at: 0)
    return (plan, inputs, input, config.root)
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

  private static func route(
    of request: ConversionRequest, _ config: (root: ConfigObject, warnings: [Diagnostic]),
    checkpoint: ObjectTree<TensorDescriptor>?,
    _ options: Planner.Options
  ) throws(ConversionError) -> (route: Route, findings: [Diagnostic]) {
    try Detection.route(
      model: request.model, from: request.sourceFormat, to: request.targetFormat, config: config.root,
      checkpoint: checkpoint, options: options)
  }

  /// Computes and writes all outputs where nobody sees them yet, and publishes them together.
  private static func write(
    _ plan: Plan, from input: CheckpointInput, _ inputs: RequestInputs, to outputs: OutputPaths,
    _ request: ConversionRequest, _ monitor: some ConversionMonitor
  ) throws(ConversionError) -> ConversionResult {
    let options = request.options
    let isRemote = input.files.contains(where: request.files.isRemote)
    var budget = Executor.Budget(options)
    // What names and values take beyond their allowance, the buffers go without.
    let excess = max((request.memory?.used ?? 0) - MemoryAccount.allowance, 0)
    budget.bytes = max(budget.bytes - excess, min(budget.bytes, 8 << 20))
    let source =
      isRemote
      ? SpooledSource(
        input.source, folder: outputs.folder, readers: budget.spoolReaders, piece: budget.spoolBytes) : input.source
    let scratch = isRemote ? SpooledSource.disk(source.storages.map(\.byteCount), readers: budget.spoolReaders) : 0
    let files = try CheckpointFiles(plan, at: outputs)
    let configs = try stage(plan, at: outputs)
    let companions = try CompanionFiles.stage(request.companions, in: outputs.folder)
    let type = outputs.format.sink
    let layout = try OutputLayout(plan, trees: files.trees, sharing: type.sharesStorages)
    var sinks: [any TensorSink] = []
    for (path, sink) in zip(files.paths, layout.sinks) { sinks.append(try type.init(path: path, layout: sink)) }
    if isRemote { budget = budget.besideSpools }
    // What the source keeps of decoded chunks is part of the budget.
    if input.source.kind == .hdf5 { budget.bytes -= budget.cacheBytes }
    let executor = Executor(source: source, budget: budget, monitor: monitor, scratchBytes: scratch)
    let overflows = try executor.run(layout.jobs, into: sinks)
    let warnings = plan.warnings + overflowWarning(zip(layout.jobs, overflows).filter { $0.1 > 0 }, options.dtype)
    if options.verify {
      monitor.report(ConversionProgress(phase: .verifying))
      let verification = Verification(source: source, budget: budget, monitor: monitor)
      for (sink, tree) in zip(sinks, files.trees) { try verification.check(sink.file, holds: tree, of: plan) }
    }

    monitor.report(ConversionProgress(phase: .publishing))
    var publication = Publication()
    for sink in sinks { publication.add(sink.file) }
    for (path, index) in files.indexes { publication.add(try stage(index, .json, at: path)) }
    for file in configs + companions { publication.add(file) }
    if options.report {
      let report = try report(request, plan, outputs, monitor).document(
        inputs: Array(zip(input.names, input.files)) + inputs.namedConfigs, outputs: publication.files,
        tensors: try ConversionReport.tensors(plan, files.trees, layout, sinks), warnings: warnings)
      publication.add(try stage(report, .json, at: outputs.report))
    }
    try publication.publish(durably: request.options.durable)
    return ConversionResult(outputs, publication, warnings)
  }

  private static func report(
    _ request: ConversionRequest, _ plan: Plan, _ outputs: OutputPaths, _ monitor: some ConversionMonitor
  ) -> ConversionReport {
    ConversionReport(
      request: request, route: plan.route, deviations: plan.deviations, outputs: outputs,
      digests: FileDigests(budget: Executor.Budget(request.options), monitor: monitor), files: request.files)
  }

  /// One warning for all tensors with values that the precision cannot hold.
  private static func overflowWarning(_ tensors: [(job: Executor.Job, count: Int)], _ precision: Precision)
    -> [Diagnostic]
  {
    guard let first = tensors.first else { return [] }
    let named = tensors.prefix(10).map(\.job.key).joined(separator: ", ")
    let others = tensors.count > 10 ? " and \(tensors.count - 10) more tensors" : ""
    let message =
      "\(tensors.reduce(0) { $0 + $1.count }) values are too large for \(precision.rawValue) and became infinite, in "
      + named + others
    return [Diagnostic(.warning, .stateDictMismatch, .tensor(first.job.key), message)]
  }

  /// Writes the configs of a plan and what goes with them where nobody sees them yet.
  private static func stage(_ plan: Plan, at outputs: OutputPaths) throws(ConversionError) -> [StagedFile] {
    var staged: [StagedFile] = []
    for place in outputs.places {
      let config = place.component.isEmpty ? plan.config : plan.config.section(at: place.component)
      staged.append(try stage(config, plan.route.target == .hf ? .json : .yaml, at: place.config))
      // Beside a config that is one file among others, another file would belong to nobody.
      for document in plan.documents where document.component == place.component && place.isFolder {
        staged.append(try stage(document.content, .json, at: place.beside(document.name)))
      }
    }
    return staged
  }

  private static func stage(
    _ document: ConfigObject, _ syntax: ConfigDocument.Syntax, at path: String
  ) throws(ConversionError) -> StagedFile {
    let staged = try StagedFile(path: path)
    try ConfigDocument(root: document, syntax: syntax).save(to: staged)
    return staged
  }
}

extension Conversion {
  /// Bytes of disk beside the outputs that a conversion which streams takes, unless single tensors need more.
  package static let spoolBytes = SpooledSource.standardCapacity
}
