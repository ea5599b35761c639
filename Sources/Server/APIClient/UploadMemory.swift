import Core
import Crypto
import Foundation
import SystemPackage

/// Remembers where a file is being uploaded to, so that a command that was interrupted goes on instead of beginning anew.
///
/// One small file for each upload in the user's cache folder, named after server, path, size and time of change: a file that
/// was written to is another one. It holds an address and no secret. What cannot be read or written is forgotten.
struct UploadMemory {
  private let path: FilePath?

  /// The place for a file. `time` is its modification time in nanoseconds.
  init(server: String, file: String, size: Int, time: Int, environment: [String: String]) {
    let cache =
      environment["XDG_CACHE_HOME"].flatMap { $0.isEmpty ? nil : FilePath($0) }
      ?? environment["HOME"].map { FilePath($0).appending(".cache") }
    let key = SHA256.hash(data: Data("\(server)\n\(file)\n\(size)\n\(time)".utf8)).hexadecimal
    path = cache?.appending("zooport/uploads").appending(String(key.prefix(32)))
  }

  /// The address of the upload, if there is one.
  var address: String? {
    path.flatMap { try? String(contentsOfFile: $0.string, encoding: .utf8) }
  }

  /// Notes an address; nil forgets it.
  func remember(_ address: String?) {
    guard let path else { return }
    guard let address else {
      try? FileManager.default.removeItem(atPath: path.string)
      return
    }
    try? FileManager.default.createDirectory(
      atPath: path.removingLastComponent().string, withIntermediateDirectories: true)
    try? address.write(toFile: path.string, atomically: true, encoding: .utf8)
  }
}
