import OrderedCollections
import SystemPackage

/// What a conversion read, did and wrote, for whoever has to trust its outputs later.
struct ConversionReport {
  let planned: Conversion.Planned
  /// Where the outputs are.
  let outputs: OutputPaths
  let digests: FileDigests

  private var request: ConversionRequest { planned.request }

  /// A tensor of an output and where its bytes lie.
  struct Tensor {
    let planned: Plan.Tensor
    /// Path of the file.
    let file: String
    let extent: FileExtent
  }

  /// The tensors of written files with the places of their bytes, file after file.
  ///
  /// `trees`, the sinks of `layout` and `sinks` belong together. Throws `.unreadableInput` when a file is gone.
  static func tensors(
    _ plan: Plan, _ trees: [ObjectTree<Int>], _ layout: OutputLayout, _ sinks: [any TensorSink]
  ) throws(ConversionError) -> [Tensor] {
    var tensors: [Tensor] = []
    for (tree, (sinkLayout, sink)) in zip(trees, zip(layout.sinks, sinks)) {
      let file = try InputFile(path: sink.file.stagedPath)
      var planned: [Int] = []
      tree.forEachLeaf { _, leaf in if case .tensor(let index) = leaf { planned.append(index) } }
      var storages: [Int] = []
      sinkLayout.tree.forEachLeaf { _, leaf in if case .tensor(let tensor) = leaf { storages.append(tensor.storage) } }
      for (index, storage) in zip(planned, storages) {
        let extent = FileExtent(file: file, offset: sink.offsets[storage], length: sinkLayout.storages[storage])
        tensors.append(Tensor(planned: plan.tensors[index], file: sink.file.path, extent: extent))
      }
    }
    return tensors
  }

  /// The report as a JSON document, and what it says of the outputs. `outputs` are complete but not published.
  ///
  /// Reads every input on the disk and every output once, and the tensors of the outputs once more. The digest of an
  /// input that is elsewhere is what its keeper states, or null. Throws as `FileDigests.compute` does.
  func document(
    inputs: [(name: String, path: String)], outputs: [StagedFile], tensors: [Tensor], warnings: [Diagnostic]
  ) throws(ConversionError) -> (document: ConfigObject, files: [OutputFile]) {
    let route = planned.plan.route
    var named: [(name: String, file: InputFile)] = []
    for input in inputs { named.append((input.name, try request.files.open(input.path))) }
    for output in outputs { named.append((self.outputs.name(output.path), try InputFile(path: output.stagedPath))) }
    let local = named.map(\.file).filter { !$0.isRemote }.map { FileExtent($0) }
    let computed = try digests.compute(local + tensors.map(\.extent))
    var fileDigests = computed[..<local.count]
    let described = named.map { name, file in
      let digest = file.isRemote ? file.statedSHA256 : fileDigests.popFirst()
      return OutputFile(name: name, path: file.path, size: file.size, sha256: digest)
    }
    var listed: [ConfigValue] = []
    var pacer = Interruption.Pacer()
    for (tensor, digest) in zip(tensors, computed[local.count...]) {
      try pacer.step()
      listed.append(describe(tensor, digest: digest))
    }
    let written = zip(outputs, described[inputs.count...]).map { file, described in
      OutputFile(name: described.name, path: file.path, size: described.size, sha256: described.sha256)
    }
    let document: ConfigObject = [
      "zooport": .string(Zooport.version),
      "command": .string(request.command.rawValue),
      "model": .string(route.model.name),
      "src_fmt": .string(route.source.description),
      "tgt_fmt": .string(route.target.description),
      "hops": .array(route.stations.map { .string($0.description) }),
      "options": .object(options),
      "inputs": .array(described[..<inputs.count].map(Self.describe)),
      "outputs": .array(written.map(Self.describe)),
      "tensors": .array(listed),
      "warnings": .array(warnings.map(Self.describe)),
      "deviations": .array(planned.plan.deviations.map(Self.describe)),
    ]
    return (document, written)
  }

  private static func describe(_ file: OutputFile) -> ConfigValue {
    ["name": .string(file.name), "size": .int(file.size), "sha256": file.sha256.map { .string($0) } ?? .null]
  }

  private var options: ConfigObject {
    [
      "drop_unmatched_keys": .bool(request.options.dropUnmatchedKeys),
      "allow_incomplete": .bool(request.options.allowIncomplete),
      "output_format": request.options.outputFormat.map { .string($0.rawValue) } ?? .null,
      "one_checkpoint": .bool(request.options.oneCheckpoint),
      "max_shard_size": request.options.maxShardSize.map { .int($0) } ?? .null,
      "dtype": .string(request.options.dtype.rawValue),
      "verify": .bool(request.options.verify),
    ]
  }

  private func describe(_ tensor: Tensor, digest: String) -> ConfigValue {
    let symbolic = tensor.planned.tensor
    return [
      "key": .string(tensor.planned.key),
      "file": .string(outputs.name(tensor.file)),
      "dtype": .string(symbolic.dtype.rawValue),
      "shape": .array(symbolic.shape.map { .int($0) }),
      "sources": .array(symbolic.expression.sourceKeys.map { .string($0) }),
      "transform": .string(symbolic.expression.summary),
      "sha256": .string(digest),
    ]
  }

  private static func describe(_ warning: Diagnostic) -> ConfigValue {
    var object: ConfigObject = ["message": .string(warning.message), "subject": .string(warning.subject.description)]
    if let origin = warning.origin { object["rule"] = .string(origin.description) }
    return .object(object)
  }

  /// Paths are the business of one machine; a report names files.
  static func name(_ path: String) -> String { FilePath(path).lastComponent?.string ?? path }
}

extension Route {
  /// The formats that a conversion passes through, source and target among them.
  var stations: [Format] {
    var stations = [source]
    for hop in hops {
      switch hop {
      case .bridge(let bridge, from: .hf): stations.append(.cs(bridge.release))
      case .bridge: stations.append(.hf)
      case .revision(let revision, from: .older): stations.append(.cs(revision.release))
      case .revision(let revision, _):
        let releases = model.releases
        let older = releases.firstIndex(of: revision.release).flatMap { $0 > 0 ? releases[$0 - 1] : nil }
        stations.append(.cs(older ?? revision.release))
      }
    }
    return stations
  }
}
