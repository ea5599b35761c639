import Foundation

/// A folder that goes away with the value that names it.
final class TemporaryFolder {
  /// Path of the folder.
  let path: String

  /// Makes an empty folder.
  init() throws {
    path = NSTemporaryDirectory() + "/zooport-hdf5-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Path of a file in the folder.
  func file(_ name: String) -> String { path + "/" + name }

  /// Writes a file and gives its path.
  func write(_ bytes: [UInt8], _ name: String) throws -> String {
    try Data(bytes).write(to: URL(fileURLWithPath: file(name)))
    return file(name)
  }
}
