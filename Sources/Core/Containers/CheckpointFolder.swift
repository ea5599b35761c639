import Glibc
internal import SystemPackage

/// A folder that holds one checkpoint, perhaps among other files.
struct CheckpointFolder {
  let path: String
  private let names: [String]
  private let allNames: [String]

  /// The names under which `from_pretrained` of transformers looks for weights, in its order.
  private static let standardNames = [
    "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json",
  ]
  private static let extensions: Set = ["bin", "safetensors", "pt", "pth", "ckpt", "mdl", "h5", "hdf5"]

  /// Lists the folder. Throws `.unreadableInput` when that is not allowed.
  init(path: String) throws(ConversionError) {
    self.path = path
    guard let folder = opendir(path) else {
      throw ConversionError(.unreadableInput, "\(path) cannot be listed: \(Errno(rawValue: errno))")
    }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      // The name is an array of fixed length in C; its bytes up to the first zero count.
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != ".", name != ".." { names.append(name) }
    }
    allNames = names.sorted()
    self.names = allNames.filter { !$0.hasPrefix(".") }
  }

  /// True when a path names a folder, or a link to one.
  static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// The files that are the checkpoint: a standard name, the only index, the only set of shards, or the only file.
  ///
  /// Throws `.unreadableInput` when there is none, or several among which only the user can choose.
  func checkpoint() throws(ConversionError) -> [String] {
    func full(_ name: String) -> String { FilePath(path).appending(name).string }
    if let name = Self.standardNames.first(where: names.contains) { return [full(name)] }
    let indexes = names.filter(ShardIndex.isIndex)
    if indexes.count == 1 { return [full(indexes[0])] }
    let files = names.filter { name in
      FilePath(name).extension.map { Self.extensions.contains($0.lowercased()) } ?? false
        && !NeighbouringFormats.isOther(name)
    }
    let sets = Set(files.map { name in FilePath(name).stem.flatMap(ShardName.init)?.base })
    if indexes.isEmpty, files.count == 1 || files.count > 1 && sets.count == 1 && !sets.contains(nil) {
      return files.map(full)
    }
    let candidates = indexes + files
    guard !candidates.isEmpty else {
      if let problem = cache() ?? NeighbouringFormats.describe(allNames) {
        throw ConversionError(.unreadableInput, "\(path) \(problem)")
      }
      throw ConversionError(
        .unreadableInput, "\(path) holds no checkpoint: no index, .bin, .safetensors or .mdl")
    }
    throw ConversionError(
      .unreadableInput,
      "\(path) holds more than one checkpoint: \(candidates.prefix(8).joined(separator: ", ")). Name the one to convert."
    )
  }

  /// The folders inside that are a model each: they hold a config or weights. Sorted. Throws nothing for one that cannot
  /// be listed, which is none.
  func components() -> [String] {
    names.filter { name in
      let inside = FilePath(path).appending(name).string
      return Self.isFolder(inside) && Self.isModel(inside)
    }
  }

  /// True for a folder that holds a `config.json`, or files that are named as a checkpoint is.
  static func isModel(_ path: String) -> Bool {
    guard let folder = try? CheckpointFolder(path: path) else { return false }
    return folder.names.contains { name in
      name == "config.json" || ShardIndex.isIndex(path: name)
        || FilePath(name).extension.map { extensions.contains($0.lowercased()) } ?? false
          && !NeighbouringFormats.isOther(name) && !Self.isFolder(FilePath(path).appending(name).string)
    }
  }

  /// A predicate when the folder is one of a hub cache, which keeps repositories in `models--OWNER--NAME/snapshots/COMMIT`.
  private func cache() -> String? {
    func entries(_ folder: String) -> [String] { (try? CheckpointFolder(path: folder))?.names ?? [] }
    if names.contains("snapshots"), names.contains("refs") || names.contains("blobs") {
      let snapshots = FilePath(path).appending("snapshots")
      let commits = entries(snapshots.string).prefix(4).map { snapshots.appending($0).string }
      let choice = commits.isEmpty ? "but it has none: download it again" : commits.joined(separator: " or ")
      return "is a repository of a hub cache; pass the folder of one snapshot: \(choice)"
    }
    guard let model = names.first(where: { $0.hasPrefix("models--") }) else { return nil }
    return
      "is a hub cache; pass the folder of one snapshot, such as \(FilePath(path).appending(model).string)/snapshots/COMMIT"
  }
}
