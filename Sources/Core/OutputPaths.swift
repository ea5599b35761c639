import Glibc
import SystemPackage

/// Where the outputs of a request go, as the vendor's tools name them.
///
/// One file is `<stem>_to_<format>.<extension>`. Shards go into a folder `<stem>_to_hf` under the names that
/// `from_pretrained` looks for, the config with them as `config.json`.
struct OutputPaths {
  /// Path of the config.
  let config: String
  /// Path of the checkpoint, of the folder when it is in shards; nil when only the config is converted.
  let checkpoint: String?
  /// Path of the report.
  let report: String
  /// Container of the checkpoint.
  let format: OutputFormat
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
    let shardFolder = request.options.maxShardSize == nil ? nil : stem.map { path(for: $0, "") }
    self.format = format
    self.shardFolder = shardFolder
    checkpoint = stem.map { shardFolder?.string ?? path(for: $0, ".\(format.fileExtension)").string }
    let input = FilePath(request.config)
    let configStem = input.removingLastComponent().appending(input.stem ?? "output")
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
