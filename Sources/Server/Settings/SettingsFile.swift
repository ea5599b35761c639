import API
import Foundation

/// Settings in a file: one `name = value` a line, `#` before a comment line. Names are those of the flags, without
/// hyphens in front.
struct SettingsFile: Sendable {
  /// Bytes that are read at most; all settings together take a few hundred.
  static let limit = 64 << 10

  /// A value and where it stands.
  struct Entry: Sendable, Hashable {
    let value: String
    let line: Int
  }

  /// What errors call the file.
  let path: String
  private(set) var entries: [String: Entry] = [:]
  /// What is wrong with lines and names, one sentence each.
  private(set) var problems: [String] = []

  /// Reads a file. One that cannot be read has no entries and one problem.
  init(path: String) {
    do {
      let file = try FileHandle(forReadingFrom: URL(filePath: path))
      // Nil for an empty file. A folder opens, and fails here.
      let data = try file.read(upToCount: Self.limit + 1) ?? Data()
      self.init(text: String(decoding: data.prefix(Self.limit), as: UTF8.self), path: path)
      if data.count > Self.limit { problems.append("\(path) has more than \(Self.limit) bytes") }
    } catch {
      self.init(text: "", path: path)
      problems = ["\(path) cannot be read"]
    }
  }

  /// Reads the text of a file. An empty value counts as absent, as with variables.
  init(text: String, path: String) {
    self.path = path
    let known = Set(Settings.table.map(\.name))
    for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
      let content = line.trimmingSpaces
      guard !content.isEmpty, !content.hasPrefix("#") else { continue }
      let place = "\(path):\(index + 1)"
      guard let equals = content.firstIndex(of: "=") else {
        problems.append("\(place): \(content) is no line of the form name = value")
        continue
      }
      let name = String(content[..<equals].trimmingSpaces)
      let value = String(content[content.index(after: equals)...].trimmingSpaces)
      if name == "config" || !known.contains(name) {
        problems.append("\(place): there is no setting \(name) for a file")
      } else if let first = entries[name] {
        problems.append("\(place): \(name) is set already, in line \(first.line)")
      } else {
        entries[name] = Entry(value: value, line: index + 1)
      }
    }
  }
}
