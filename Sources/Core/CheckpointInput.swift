internal import SystemPackage

/// The checkpoint that a request names, in whatever form: one file, a shard index, a folder, or several files.
struct CheckpointInput {
  /// The tensors of all files together.
  let source: any TensorSource
  /// Every file that was opened, an index first.
  let files: [String]
  /// What reports call each of them.
  let names: [String]
  /// Names of outputs derive from this: folder and stem of the checkpoint, `dir/pytorch_model` for
  /// `dir/pytorch_model.bin.index.json` as for `dir/pytorch_model-00001-of-00003.bin`.
  let stem: FilePath

  /// The checkpoints of the components of one model. Precondition: there is one at least.
  init(components: [(name: String, input: CheckpointInput)], stem: FilePath) {
    source = ComposedSource(components.map { ($0.name, $0.input.source) })
    files = components.flatMap(\.input.files)
    names = components.flatMap { part in part.input.files.map { RequestInputs.name($0, of: part.name) } }
    self.stem = stem
  }

  /// Opens what the paths name. `cacheBytes` is what decoded chunks of all files may take together.
  ///
  /// Throws `.usage` for combinations that mean nothing, `.unreadableInput` when a shard is missing or does not belong,
  /// and what the containers throw. Reads headers only.
  init(
    paths: [String], limits: Limits = .standard, cacheBytes: Int = 32 << 20, files: InputFiles = .onDisk
  ) throws(ConversionError) {
    let share = cacheBytes / max(paths.count, 1)
    func open(_ path: String) throws(ConversionError) -> any TensorSource {
      try Checkpoint.open(path: path, limits: limits, cacheBytes: share, files: files)
    }
    var paths = paths
    func isFolder(_ path: String) -> Bool { !files.holds(path) && CheckpointFolder.isFolder(path) }
    if paths.count == 1, isFolder(paths[0]) { paths = try CheckpointFolder(path: paths[0]).checkpoint() }
    guard let first = paths.first else {
      throw ConversionError(.usage, "A checkpoint is needed to convert; convert-config converts a config alone.")
    }
    if let folder = paths.first(where: isFolder) {
      throw ConversionError(.usage, "\(folder) is a folder; name one folder, or files, but not both")
    }

    let indexes = paths.filter(ShardIndex.isIndex)
    if let path = indexes.first {
      guard indexes.count == 1 else {
        throw ConversionError(
          .usage, "\(files.name(indexes[0])) and \(files.name(indexes[1])) are two indexes; one checkpoint has one")
      }
      let index = try ShardIndex.load(path: path, limits: limits, files: files)
      let shards = try Self.files(of: index, at: path, given: paths.filter { $0 != path }, files)
      let name = files.name(path)
      source = try ShardedSource(index: index, name: name, shards: try Self.open(shards, of: name, with: open))
      self.files = [path] + shards.map(\.path)
      stem = Self.stem(of: path)
    } else if paths.count == 1 {
      source = try open(first)
      self.files = paths
      stem = Self.stem(of: first, isShard: false)
    } else {
      try ShardName.checkComplete(paths, of: files)
      var shards: [(name: String, source: any TensorSource)] = []
      for path in paths { shards.append((files.name(path), try open(path))) }
      source = try ShardedSource(shards: shards)
      self.files = paths
      stem = Self.stem(of: first)
    }
    names = self.files.map(ConversionReport.name)
  }

  /// The file of each shard: the one that was given under its name, or else the one beside the index.
  private static func files(
    of index: ShardIndex, at path: String, given: [String], _ files: InputFiles
  ) throws(ConversionError) -> [(name: String, path: String)] {
    var byName: [String: String] = [:]
    for file in given {
      guard let name = FilePath(file).lastComponent?.string, byName.updateValue(file, forKey: name) == nil else {
        throw ConversionError(.usage, "\(files.name(file)) is given twice, or names no file")
      }
    }
    let shards = index.shards.map { ($0, byName.removeValue(forKey: $0) ?? index.path(ofShard: $0, indexPath: path)) }
    if let extra = given.first(where: { byName.values.contains($0) }) {
      throw ConversionError(
        .unreadableInput, "\(files.name(extra)) is no shard of \(files.name(path)): the index does not name it")
    }
    return shards
  }

  private static func open(
    _ files: [(name: String, path: String)], of index: String,
    with open: (String) throws(ConversionError) -> any TensorSource
  ) throws(ConversionError) -> [(name: String, source: any TensorSource)] {
    var shards: [(name: String, source: any TensorSource)] = []
    for (name, path) in files {
      do throws(ConversionError) { shards.append((name, try open(path))) } catch {
        throw error.reworded("\(index): the shard \(name) cannot be opened: \(error.message)")
      }
    }
    return shards
  }

  /// A path without what says container, index or shard.
  private static func stem(of path: String, isShard: Bool = true) -> FilePath {
    let path = FilePath(path)
    var name = path.lastComponent?.string ?? "checkpoint"
    if ShardIndex.isIndex(path: name) { name.removeLast(".index.json".count) }
    let stem = OutputStem.withoutExtensions(name)
    return path.removingLastComponent().appending(isShard ? ShardName(stem)?.base ?? stem : stem)
  }
}
