import Foundation

/// The kept inputs of one target: a line each, a name and the bytes in base64. Text, so that a change can be reviewed.
///
/// A name of letters is a regression or an interesting case; a name of hexadecimal digits came from the fuzzer.
struct Corpus {
  private(set) var inputs: [(name: String, bytes: [UInt8])] = []

  /// Reads `TARGET.txt` of the folder `Corpus`.
  init(of target: FuzzTarget) throws {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("Corpus/\(target.rawValue).txt")
    for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") where !line.hasPrefix("#") {
      let parts = line.split(separator: " ", omittingEmptySubsequences: false)
      guard parts.count == 2, let data = Data(base64Encoded: String(parts[1])) else {
        throw Malformed(line: String(line.prefix(80)))
      }
      inputs.append((String(parts[0]), [UInt8](data)))
    }
  }

  /// A line that is no name and base64.
  struct Malformed: Error {
    let line: String
  }

  /// Writes each input as a file of `folder`, for libFuzzer.
  func unpack(into folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for input in inputs { try Data(input.bytes).write(to: folder.appendingPathComponent(input.name)) }
  }
}
