import Crypto
import Foundation
import TestSupport

/// Serves folders as repositories of the test hub, for tests in other languages: `hub-server OWNER/NAME=FOLDER ...`.
///
/// Prints the base URL. Each line on standard input is answered with the requests so far, as a JSON array; the end of
/// input ends the program. Files that are no JSON and no text are large ones.
@main
struct HubServer {
  static func main() throws {
    let hub = try TestHub()
    for argument in CommandLine.arguments.dropFirst() {
      let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2 else { throw CocoaError(.fileReadInvalidFileName) }
      let folder = URL(filePath: parts[1])
      for name in try FileManager.default.subpathsOfDirectory(atPath: folder.path) {
        let file = folder.appending(path: name)
        guard try file.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true else { continue }
        let bytes = try Data(contentsOf: file)
        let isLarge = !["json", "txt", "md"].contains(file.pathExtension)
        let digest = SHA256.hash(data: bytes).map { String(format: "%02x", $0) }.joined()
        hub.change(parts[0]) { $0.files[name] = .init(bytes, sha256: digest, isLarge: isLarge) }
      }
    }
    say(hub.endpoint)
    while readLine() != nil {
      let requests = hub.requests.map { [$0.method, $0.path, $0.isStore ? "store" : "hub", $0.range ?? ""] }
      say(String(decoding: try JSONEncoder().encode(requests), as: UTF8.self))
    }
  }

  /// Writes a line that whoever reads a pipe sees at once.
  private static func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }
}
