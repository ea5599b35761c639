/// A conversion that is decided and not begun: nothing is written yet.
///
/// It keeps the inputs open, and the names of all tensors in memory.
package struct PreparedConversion: Sendable {
  /// What a conversion is going to take.
  package struct Costs: Sendable, Hashable {
    /// Bytes of tensor data that are written.
    package var bytesWritten = 0
    /// Bytes of disk that are used beside the outputs while it goes on, at most.
    package var scratchBytes = 0
    /// Bytes of memory at most, estimated.
    package var peakMemory = 0

    /// Bytes of disk at most.
    package var diskBytes: Int { [bytesWritten, scratchBytes].saturatingSum() }

    package init() {}
  }

  let planned: Conversion.Planned
  let outputs: OutputPaths
  /// The files of the checkpoint and what each holds; nil when only the config is converted.
  let checkpoint: (files: CheckpointFiles, layout: OutputLayout)?
  package let costs: Costs

  var request: ConversionRequest { planned.request }
  var plan: Plan { planned.plan }

  /// Lays the outputs out. Throws `.cancelled`, and `.usage` for what the output's container cannot hold.
  init(_ planned: Conversion.Planned) throws(ConversionError) {
    self.planned = planned
    outputs = OutputPaths(
      planned.request, planned.plan.route, stem: planned.checkpoint?.stem, configStem: planned.inputs.configStem)
    var costs = Costs()
    if planned.checkpoint != nil {
      let files = try CheckpointFiles(planned.plan, at: outputs)
      let layout = try OutputLayout(planned.plan, trees: files.trees, sharing: outputs.format.sink.sharesStorages)
      costs.bytesWritten = layout.jobs.lazy.map(\.tensor.byteCount).saturatingSum()
      checkpoint = (files, layout)
    } else {
      checkpoint = nil
    }
    costs.scratchBytes = planned.scratchBytes
    costs.peakMemory = planned.peakMemory
    self.costs = costs
  }

  /// Writes the outputs, and publishes all of them or none.
  ///
  /// Blocks the calling thread and uses `options.threads` more. Throws `ConversionError`, `.cancelled` soon after
  /// `monitor.isCancelled` becomes true; then no output file exists that did not exist before.
  package func execute(_ monitor: some ConversionMonitor) throws(ConversionError) -> ConversionResult {
    try Interruption.heeding({ monitor.isCancelled }) { () throws(ConversionError) in
      do throws(ConversionError) {
        try outputs.makeFolders()
        return try ConversionRun(prepared: self, monitor: monitor).run()
      } catch {
        outputs.removeEmptyFolders()
        throw error
      }
    }
  }
}

extension Conversion.Planned {
  /// Bytes of disk that spools of the checkpoint take at most; 0 for a checkpoint that is here.
  var scratchBytes: Int {
    guard memory.spools, let checkpoint else { return 0 }
    return SpooledSource.disk(checkpoint.source.storages.map(\.byteCount), readers: memory.spoolReaders)
  }

  /// Bytes of memory at most, estimated.
  var peakMemory: Int { memory.peak(names: plan.sources.count + plan.tensors.count) }
}

/// A file that a conversion wrote.
package struct OutputFile: Sendable, Hashable {
  /// What reports call it: the name of the file, behind that of the component that it belongs to.
  package let name: String
  package let path: String
  /// Bytes.
  package let size: Int
  /// SHA-256 in lower-case hexadecimal; nil unless a report was written, which has it too.
  package let sha256: String?

  package init(name: String, path: String, size: Int, sha256: String? = nil) {
    self.name = name
    self.path = path
    self.size = size
    self.sha256 = sha256
  }
}

/// What a conversion wrote.
package struct ConversionResult: Sendable {
  /// The checkpoint, or the folder with its shards, one for each component of a composed model; none for `convert-config`.
  package let checkpoints: [String]
  /// The config, one for each component.
  package let configs: [String]
  /// Every file that was written, the checkpoint's first.
  package let files: [OutputFile]
  /// Everything that the user should know and that did not stop the conversion.
  package let warnings: [Diagnostic]

  package init(checkpoints: [String], configs: [String], files: [OutputFile], warnings: [Diagnostic]) {
    self.checkpoints = checkpoints
    self.configs = configs
    self.files = files
    self.warnings = warnings
  }

  /// The first checkpoint; nil for `convert-config`.
  var checkpoint: String? { checkpoints.first }
  /// The first config.
  var config: String { configs[0] }
  /// Bytes of all files.
  package var size: Int { files.lazy.map(\.size).saturatingSum() }
}
