/// Where the files of a conversion are: on the disk under their paths, unless they were brought otherwise.
///
/// Paths that are brought need not exist. What is brought was opened once and is shared by everybody who asks for it.
package struct InputFiles: Sendable {
  private var brought: [String: InputFile] = [:]
  private var names: [String: String] = [:]

  /// Files on the disk alone.
  package static let onDisk = InputFiles()

  /// No file is brought yet.
  package init() {}

  /// Brings a file under the name by which a request refers to it.
  package mutating func bring(_ file: InputFile, as path: String) { brought[path] = file }

  /// Sets the name that messages use for the file at a path. A client of the service does not know the paths of the machine.
  package mutating func call(_ path: String, _ name: String) { names[path] = name }

  /// What messages call the file of a path.
  func name(_ path: String) -> String { names[path] ?? path }

  /// True when a file was brought under the path.
  package func holds(_ path: String) -> Bool { brought[path] != nil }

  /// True when the file of a path has to be read in ranges from elsewhere.
  func isRemote(_ path: String) -> Bool { brought[path]?.isRemote ?? false }

  /// The file of a path. Throws `.unreadableInput` when it is on the disk and cannot be opened.
  func open(_ path: String) throws(ConversionError) -> InputFile {
    if let file = brought[path] { return file }
    return try InputFile(path: path, name: names[path])
  }
}
