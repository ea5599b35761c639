import Testing

@testable import Core

/// Every recorded sample, written in every container that can hold it and read again: nothing may change on the way.
@Suite(.enabled(if: SharedFiles.exist)) struct CrossContainerTests {
  static let samples = SharedFiles.names("formats/samples").filter { name in
    [".pt", ".safetensors", ".mdl"].contains { name.hasSuffix($0) }
      && !unreadable.contains(name)
  }

  /// Recorded because they cannot be read alone: cut off, ambiguous, tied to another file, or of a release to come.
  private static let unreadable: Set<String> = [
    "cs05-external-link.mdl", "cs05-key-clash.mdl", "cs05-missing-dataset.mdl", "cs05-partial.mdl",
    "cs05-safetensor-reference.mdl", "cs09-future.mdl", "ext-src.mdl", "st-src.safetensors",
  ]

  /// Types that `cstorch.save` has no HDF5 form for, and names that HDF5 has none for.
  private static func fitsHDF5(_ source: any TensorSource) -> Bool {
    if case .tensor = source.tree { return false }
    var fits = true
    source.tree.forEachLeaf { path, leaf in
      if case .tensor(let tensor) = leaf, HDF5LeafWriter.runtimeCode(tensor.dtype) == nil { fits = false }
      if HDF5GroupTree.parts(path) == nil { fits = false }
    }
    return fits
  }

  @Test(arguments: samples) func survivesEveryOtherContainer(name: String) throws {
    let source = try Checkpoint.open(path: SharedFiles.folder + "/formats/samples/" + name)
    let sample = try Sample(source)
    let expected = try source.tensors()

    try expect(expected, sample, through: TorchZipWriter.self, values: Self.values(source))
    if Self.fitsHDF5(source) {
      try expect(expected, sample, through: HDF5Writer.self, values: Self.values(source))
    } else {
      try expectRefusal(of: sample, by: HDF5Writer.self)
    }
    if Self.fitsSafetensors(source.tree) {
      try expect(expected, sample, through: SafetensorsWriter.self, values: [:])
    } else {
      try expectRefusal(of: sample, by: SafetensorsWriter.self)
    }
  }

  private func expect<Sink: TensorSink>(
    _ expected: [String: ReadTensor], _ sample: Sample, through sink: Sink.Type, values: [String: String]
  ) throws {
    let folder = try TemporaryFolder()
    try sample.write(with: sink, to: folder.file("copy"))
    let copy = try Checkpoint.open(path: folder.file("copy"))
    #expect(try copy.tensors() == expected)
    #expect(Self.values(copy) == values)
  }

  private func expectRefusal<Sink: TensorSink>(of sample: Sample, by sink: Sink.Type) throws {
    let folder = try TemporaryFolder()
    #expect(
      conversionError { try Sink(file: StagedFile(path: folder.file("copy")), layout: sample.layout) }?.kind == .usage)
  }

  /// A flat dictionary of named tensors of types that the format has.
  private static func fitsSafetensors(_ tree: ObjectTree<TensorDescriptor>) -> Bool {
    guard case .dictionary(let entries, _) = tree else { return false }
    return entries.allSatisfy { entry in
      guard case .string = entry.key, case .tensor(let tensor) = entry.value else { return false }
      return tensor.dtype != .complex32 && tensor.dtype != .complex128
    }
  }

  /// All values that are no tensors, by their paths.
  private static func values(_ source: any TensorSource) -> [String: String] {
    var values: [String: String] = [:]
    source.tree.forEachLeaf { path, leaf in
      if case .tensor = leaf { return }
      values[path] = "\(leaf)"
    }
    return values
  }
}

extension Sample {
  /// What a checkpoint holds, each tensor with bytes of its own.
  init(_ source: any TensorSource) throws {
    var contents: [[UInt8]] = []
    var failure: (any Error)?
    tree = source.tree.mapTensors { tensor in
      do { contents.append(try source.elements(tensor)) } catch { failure = error }
      return OutputTensor(dtype: tensor.dtype, shape: tensor.shape, storage: contents.count - 1)
    }
    if let failure { throw failure }
    self.contents = contents
  }
}
