import Foundation

/// The folder of recorded samples beside the project; most checkouts do not have it.
enum SharedFiles {
  /// `ZOOPORT_SHARED`, or `shared` beside the repository.
  static let folder: String = {
    if let folder = ProcessInfo.processInfo.environment["ZOOPORT_SHARED"] { return folder }
    let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    return repository.deletingLastPathComponent().appendingPathComponent("shared").path
  }()

  /// True when the samples are there.
  static var exist: Bool { FileManager.default.fileExists(atPath: folder + "/formats/samples") }

  /// Names in a folder, sorted; none when it is absent.
  static func names(_ subfolder: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder + "/" + subfolder)) ?? []).sorted()
  }

  /// A JSON document.
  static func json(_ path: String) throws -> [String: Any] {
    let data = try Data(contentsOf: URL(fileURLWithPath: folder + "/" + path))
    return try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
  }
}

/// A folder that is removed when the value goes.
final class TemporaryFolder: Sendable {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("zooport-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Writes a file and returns its path.
  func write(_ bytes: [UInt8], as name: String) throws -> String {
    let file = path + "/" + name
    try Data(bytes).write(to: URL(fileURLWithPath: file))
    return file
  }

  /// The path of a file to be written.
  func file(_ name: String) -> String { path + "/" + name }
}
