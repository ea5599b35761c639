import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Where the outputs of a request go: `<stem>_to_<format>.<extension>`, as the vendor's tool names them.
struct OutputPaths {
  /// Path of the config.
  let config: String
  /// Container of the checkpoint.
  let format: OutputFormat
  private let directory: FilePath?
  private let suffix: String

  /// Works out the names and creates the output folder.
  ///
  /// Throws `.outputFailed` when the folder cannot be created.
  init(_ request: ConversionRequest, _ route: Route) throws(ConversionError) {
    suffix = "_to_\(route.target)"
    format = request.options.outputFormat ?? OutputFormat.allowed(for: route.target)[0]
    directory = request.outputDirectory.map { FilePath($0) }
    config = Self.path(
      for: request.config, in: directory, suffix: suffix, extension: route.target == .hf ? "json" : "yaml")
    if let directory { try Self.create(directory) }
  }

  /// Path of the checkpoint that is made from the one with this folder and stem.
  func checkpoint(for input: FilePath) -> String {
    let folder = directory ?? input.removingLastComponent()
    return folder.appending("\(input.lastComponent?.string ?? "output")\(suffix).\(format.fileExtension)").string
  }

  private static func path(
    for input: String, in directory: FilePath?, suffix: String, extension ending: String
  ) -> String {
    let input = FilePath(input)
    let stem = input.stem ?? "output"
    let folder = directory ?? input.removingLastComponent()
    return folder.appending("\(stem)\(suffix).\(ending)").string
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
