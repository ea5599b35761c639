import Glibc
import SystemPackage

/// Where the outputs of a request go, as the vendor's tools name them.
///
/// One file is `<stem>_to_<format>.<extension>`. Shards go into a folder `<stem>_to_hf` under the names that
/// `from_pretrained` looks for, the config with them as `config.json`. `OutputStem` says what a stem is.
struct OutputPaths {
  /// Path of the config.
  let config: String
  /// Path of the checkpoint, of the folder when it is in shards; nil when only the config is converted.
  let checkpoint: String?
  /// Path of the report.
  let report: String
  /// Container of the checkpoint.
  let format: OutputFormat
  /// Bytes of tensor data in a shard; nil when the checkpoint is one file.
  let shardSize: Int?
  /// The folder of the shards, if there are any.
  private let shardFolder: FilePath?

  /// Works out the names and creates the output folder. `stem` is `CheckpointInput.stem`.
  ///
  /// Throws `.outputFailed` when the folder cannot be created.
  init(_ request: ConversionRequest, _ route: Route, stem: FilePath? = nil) throws(ConversionError) {
    let directory = request.outputDirectory.map { FilePath($0) }
    func path(for input: FilePath, _ ending: String) -> FilePath {
      (directory ?? input.removingLastComponent())
        .appending("\(input.lastComponent?.string ?? "output")_to_\(route.target)\(ending)")
    }
    let format = request.options.outputFormat ?? OutputFormat.allowed(for: route.target)[0]
    let shardSize = request.options.shardSize(from: route.source, to: route.target)
    let shardFolder = shardSize == nil ? nil : stem.map { path(for: $0, "") }
    self.format = format
    self.shardSize = shardSize
    self.shardFolder = shardFolder
    checkpoint = stem.map { shardFolder?.string ?? path(for: $0, ".\(format.fileExtension)").string }
    let input = FilePath(request.config)
    let name = input.lastComponent?.string ?? "output"
    let configStem = input.removingLastComponent()
      .appending(request.command == .convert ? OutputStem.withoutExtensions(name) : input.stem ?? name)
    config =
      shardFolder?.appending("config.json").string
      ?? path(for: configStem, route.target == .hf ? ".json" : ".yaml").string
    report = path(for: stem ?? configStem, ".report.json").string
    if let folder = shardFolder ?? directory { try Self.create(folder) }
  }

  /// Path of one of several shards.
  func shard(_ number: Int, of count: Int) -> String {
    let name = ShardName(base: format.standardStem, number: number, count: count)
    return (shardFolder ?? "").appending("\(name).\(format.fileExtension)").string
  }

  /// The folder of the checkpoint; `.` when outputs go to where the program was started.
  var folder: String {
    let folder = shardFolder ?? FilePath(checkpoint ?? config).removingLastComponent()
    return folder.isEmpty ? "." : folder.string
  }

  /// Path of the index of the shards.
  var index: String {
    (shardFolder ?? "").appending("\(format.standardStem).\(format.fileExtension).index.json").string
  }

  /// Removes the folder of the shards if nothing is in it.
  func removeEmptyFolder() {
    if let shardFolder { rmdir(shardFolder.string) }
  }

  /// Creates a folder and those above it. One that exists is fine.
  private static func create(_ folder: FilePath) throws(ConversionError) {
    var path = FilePath(root: folder.root)
    for component in folder.components {
      path.append(component)
      if mkdir(path.string, 0o777) != 0, errno != EEXIST {
        throw ConversionError(
          .outputFailed, "The output folder \(folder) cannot be created: \(Errno(rawValue: errno))")
      }
    }
  }
}

/// What the name of an output begins with.
enum OutputStem {
  private static let otherExtensions: Set = ["h5", "hdf5"]

  /// The name of a file without all extensions that are letters alone, as the tool of release 2.10 cuts names for
  /// `convert`: `ckpt_1.7.final.mdl` becomes `ckpt_1.7`.
  ///
  /// Unlike in the tool, a name without such an extension is kept (there it is lost), without `.h5` or `.hdf5`; so is one
  /// that has nothing else, such as `.mdl`.
  static func withoutExtensions(_ name: String) -> String {
    var stem = name[...]
    while let dot = stem.lastIndex(of: "."), dot > stem.startIndex {
      let ending = stem[stem.index(after: dot)...]
      guard !ending.isEmpty, ending.allSatisfy({ $0.isASCII && $0.isLetter }) else { break }
      stem = stem[..<dot]
    }
    if stem == name, let path = FilePath.Component(name), otherExtensions.contains(path.extension?.lowercased() ?? "") {
      return path.stem
    }
    return String(stem)
  }
}
