import Crypto
import Foundation
import TestSupport

/// Serves folders as repositories of the test hub, for tests in other languages: `hub-server OWNER/NAME=FOLDER ...`.
///
/// `--gated OWNER/NAME` and `--token OWNER/NAME=TOKEN` close a repository, `--drop PATH=BYTES` breaks the first download of
/// a large file after so many bytes.
///
/// Prints the base URL. Each line on standard input is answered with the requests so far, as a JSON array; the end of
/// input ends the program. Files that are no JSON and no text are large ones.
@main
struct HubServer {
  static func main() throws {
    let hub = try TestHub()
    var drops: [String: Int] = [:]
    var arguments = CommandLine.arguments.dropFirst()
    while var argument = arguments.popFirst() {
      let option = argument.hasPrefix("--") ? argument : nil
      if option != nil { argument = arguments.popFirst() ?? "" }
      let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
      if option == "--gated" {
        hub.change(argument) { $0.access = .gated }
        continue
      }
      guard parts.count == 2 else { throw CocoaError(.fileReadInvalidFileName) }
      if option == "--token" {
        hub.change(parts[0]) { $0.access = .tokenNeeded(parts[1]) }
        continue
      }
      if option == "--drop" {
        drops[parts[0]] = Int(parts[1])
        continue
      }
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
    hub.script { [drops] request in
      guard request.isStore, request.method == "GET", request.index == 0, let count = drops[request.path] else {
        return nil
      }
      return .drop(after: count)
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
