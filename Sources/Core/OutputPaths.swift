import Glibc
import SystemPackage

/// Where the outputs of a request go, as the vendor's tools name them.
///
/// One file is `<stem>_to_<format>.<extension>`. Shards go into a folder `<stem>_to_hf` under the names that
/// `from_pretrained` looks for, the config with them as `config.json`. `OutputStem` says what a stem is.
struct OutputPaths {
  /// The place of one checkpoint with its config: the only one, or one for each component.
  struct Place {
    /// The component; empty for a model that is one checkpoint.
    let component: String
    let config: String
    /// Path of the checkpoint, of its folder when it is in a folder; nil when only the config is converted.
    let checkpoint: String?
    /// The folder of the checkpoint, where it has one of its own.
    fileprivate let folder: FilePath?
    /// Path of a checkpoint that is one file.
    let file: String
    fileprivate let format: OutputFormat

    /// True where the checkpoint and its config have a folder for themselves.
    var isFolder: Bool { folder != nil }

    /// Path of one of several shards.
    func shard(_ number: Int, of count: Int) -> String {
      let name = ShardName(base: format.standardStem, number: number, count: count)
      return (folder ?? "").appending("\(name).\(format.fileExtension)").string
    }

    /// Path of the index of the shards.
    var index: String {
      (folder ?? "").appending("\(format.standardStem).\(format.fileExtension).index.json").string
    }

    /// Path of a file beside the config.
    func beside(_ name: String) -> String { FilePath(config).removingLastComponent().appending(name).string }
  }

  /// The places, in the order of the components.
  let places: [Place]
  let report: String
  /// Container of the checkpoint.
  let format: OutputFormat
  /// Bytes of tensor data in a shard; nil when the checkpoint is one file.
  let shardSize: Int?

  /// Folders that the outputs need.
  private let folders: [FilePath]
  private let hidesFolders: Bool

  /// Works out the names. `stem` is `CheckpointInput.stem`, `configStem` that of `RequestInputs`.
  init(_ request: ConversionRequest, _ route: Route, stem: FilePath? = nil, configStem: FilePath? = nil) {
    hidesFolders = request.hidesFolders
    let directory = request.outputDirectory.map { FilePath($0) }
    func path(for input: FilePath, _ ending: String) -> FilePath {
      (directory ?? input.removingLastComponent())
        .appending("\(input.lastComponent?.string ?? "output")_to_\(route.target)\(ending)")
    }
    let format = request.options.outputFormat ?? OutputFormat.allowed(for: route.target)[0]
    let shardSize = request.options.shardSize(from: route.source, to: route.target)
    self.format = format
    self.shardSize = shardSize
    let input = FilePath(request.config)
    let name = input.lastComponent?.string ?? "output"
    let configStem =
      configStem
      ?? input.removingLastComponent()
      .appending(request.command == .convert ? OutputStem.withoutExtensions(name) : input.stem ?? name)
    report = path(for: stem ?? configStem, ".report.json").string
    let components = route.folders(in: route.target)
    guard components.isEmpty else {
      let base = directory ?? (stem ?? configStem).removingLastComponent()
      places = components.map { component in
        let folder = base.appending(component)
        return Place(
          component: component, config: folder.appending("config.json").string,
          checkpoint: stem == nil ? nil : folder.string, folder: folder,
          file: folder.appending("\(format.standardStem).\(format.fileExtension)").string, format: format)
      }
      folders = places.compactMap(\.folder)
      return
    }
    let folder = shardSize == nil ? nil : stem.map { path(for: $0, "") }
    let file = stem.map { path(for: $0, ".\(format.fileExtension)").string } ?? ""
    places = [
      Place(
        component: "",
        config: folder?.appending("config.json").string
          ?? path(for: configStem, route.target == .hf ? ".json" : ".yaml").string,
        checkpoint: stem == nil ? nil : folder?.string ?? file, folder: folder, file: file, format: format)
    ]
    folders = [folder ?? directory].compactMap(\.self)
  }

  /// What a file of an output is called: its name, behind that of the component that it belongs to.
  func name(_ path: String) -> String {
    let file = FilePath(path)
    let folder = file.removingLastComponent()
    let place = places.first { !$0.component.isEmpty && $0.folder == folder }
    return RequestInputs.name(path, of: place?.component ?? "")
  }

  /// The folder of the checkpoint, or of the folders of the components; `.` when outputs go to where the program was
  /// started.
  var folder: String {
    let place = places[0]
    let own = place.folder ?? FilePath(place.checkpoint ?? place.config).removingLastComponent()
    let folder = place.component.isEmpty ? own : own.removingLastComponent()
    return folder.isEmpty ? "." : folder.string
  }

  /// Creates the folders of the outputs. Throws `.outputFailed`.
  func makeFolders() throws(ConversionError) { for folder in folders { try create(folder) } }

  /// An output file that is to be written. Throws `.outputFailed`.
  func stage(_ path: String) throws(ConversionError) -> StagedFile {
    try StagedFile(path: path, name: messageName(path))
  }

  /// What messages call a file of the outputs.
  func messageName(_ path: String) -> String { hidesFolders ? name(path) : path }

  /// Removes the folders of checkpoints if nothing is in them.
  func removeEmptyFolders() {
    for place in places { if let folder = place.folder { rmdir(folder.string) } }
  }

  /// Creates a folder and those above it. One that exists is fine.
  private func create(_ folder: FilePath) throws(ConversionError) {
    var path = FilePath(root: folder.root)
    for component in folder.components {
      path.append(component)
      if mkdir(path.string, 0o777) != 0, errno != EEXIST {
        throw ConversionError(
          .outputFailed,
          "The output folder\(hidesFolders ? "" : " \(folder)") cannot be created: \(Errno(rawValue: errno))",
          cause: "\(folder)")
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
