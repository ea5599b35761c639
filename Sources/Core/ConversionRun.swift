/// One execution of a prepared conversion: everything is written where nobody sees it, and published together.
struct ConversionRun {
  let prepared: PreparedConversion
  let monitor: any ConversionMonitor

  private var plan: Plan { prepared.plan }
  private var outputs: OutputPaths { prepared.outputs }
  private var options: ConversionOptions { prepared.request.options }
  private var memory: MemoryPlan { prepared.planned.memory }

  /// Throws `ConversionError`; what was not published is gone when this returns.
  func run() throws(ConversionError) -> ConversionResult {
    var publication = Publication()
    var warnings = plan.warnings
    var tensors: [ConversionReport.Tensor] = []
    let configs = try stageConfigs()
    let companions = try CompanionFiles.stage(
      prepared.request.companions, in: outputs.folder, messageName: outputs.messageName)
    if let input = prepared.planned.checkpoint, let (files, layout) = prepared.checkpoint {
      let source = source(of: input)
      let sinks = try makeSinks(files, layout)
      warnings += try convert(source, layout, into: sinks)
      if options.verify { try verify(source, files, sinks) }
      for sink in sinks { publication.add(sink.file) }
      for (path, index) in files.indexes { publication.add(try stage(index, .json, at: path)) }
      if options.report { tensors = try ConversionReport.tensors(plan, files.trees, layout, sinks) }
    }
    for file in configs + companions { publication.add(file) }
    let written = try describe(&publication, tensors, warnings)
    try publication.publish(durably: options.durable, monitor: monitor)
    return ConversionResult(
      checkpoints: outputs.places.compactMap(\.checkpoint), configs: outputs.places.map(\.config), files: written,
      warnings: warnings)
  }

  /// The tensors of the input. Those that are elsewhere pass through spools beside the outputs.
  private func source(of input: CheckpointInput) -> any TensorSource {
    guard memory.spools else { return input.source }
    return SpooledSource(
      input.source, folder: outputs.folder, readers: memory.spoolReaders, piece: memory.spoolPieceBytes)
  }

  private func makeSinks(
    _ files: CheckpointFiles, _ layout: OutputLayout
  ) throws(ConversionError) -> [any TensorSink] {
    let type = outputs.format.sink
    var sinks: [any TensorSink] = []
    for (path, sink) in zip(files.paths, layout.sinks) {
      sinks.append(try type.init(file: outputs.stage(path), layout: sink))
    }
    return sinks
  }

  /// Computes and writes all tensors. Returns a warning if values became infinite.
  private func convert(
    _ source: any TensorSource, _ layout: OutputLayout, into sinks: [any TensorSink]
  ) throws(ConversionError) -> [Diagnostic] {
    let executor = Executor(source: source, budget: memory.tiles, monitor: monitor)
    let overflows = try executor.run(layout.jobs, into: sinks)
    return overflowWarning(zip(layout.jobs, overflows).filter { $0.1 > 0 })
  }

  /// One warning for all tensors with values that the precision cannot hold.
  private func overflowWarning(_ tensors: [(job: Executor.Job, count: Int)]) -> [Diagnostic] {
    guard let first = tensors.first else { return [] }
    let named = tensors.prefix(10).map(\.job.key).joined(separator: ", ")
    let others = tensors.count > 10 ? " and \(tensors.count - 10) more tensors" : ""
    let message =
      "\(tensors.reduce(0) { $0 + $1.count }) values are too large for \(options.dtype.rawValue) and became infinite, in "
      + named + others
    return [Diagnostic(.warning, .stateDictMismatch, .tensor(first.job.key), message)]
  }

  private func verify(
    _ source: any TensorSource, _ files: CheckpointFiles, _ sinks: [any TensorSink]
  ) throws(ConversionError) {
    let progress = PhaseProgress(.verifying, total: plan.byteCount, monitor: monitor)
    let verification = Verification(source: source, budget: memory.tiles, progress: progress)
    for (sink, tree) in zip(sinks, files.trees) { try verification.check(sink.file, holds: tree, of: plan) }
  }

  /// Writes the report, if one was asked for, and says what all files are.
  private func describe(
    _ publication: inout Publication, _ tensors: [ConversionReport.Tensor], _ warnings: [Diagnostic]
  ) throws(ConversionError) -> [OutputFile] {
    guard options.report else {
      return publication.files.map { OutputFile(name: outputs.name($0.path), path: $0.path, size: $0.size) }
    }
    let planned = prepared.planned
    let digests = FileDigests(budget: memory.tiles, monitor: monitor)
    let report = ConversionReport(planned: planned, outputs: outputs, digests: digests)
    var inputs = planned.inputs.namedConfigs
    if let input = planned.checkpoint { inputs = zip(input.names, input.files).map { ($0, $1) } + inputs }
    let (document, files) = try report.document(
      inputs: inputs, outputs: publication.files, tensors: tensors, warnings: warnings)
    let file = try stage(document, .json, at: outputs.report)
    publication.add(file)
    let digest = try FileDigests(budget: memory.tiles, monitor: UnattendedMonitor()).compute([
      FileExtent(InputFile(path: file.stagedPath))
    ])
    return files
      + [OutputFile(name: outputs.name(file.path), path: file.path, size: file.size, sha256: digest.first)]
  }

  /// Writes the configs of the plan and what goes with them.
  private func stageConfigs() throws(ConversionError) -> [StagedFile] {
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

  private func stage(
    _ document: ConfigObject, _ syntax: ConfigDocument.Syntax, at path: String
  ) throws(ConversionError) -> StagedFile {
    let staged = try outputs.stage(path)
    try ConfigDocument(root: document, syntax: syntax).save(to: staged)
    return staged
  }
}
