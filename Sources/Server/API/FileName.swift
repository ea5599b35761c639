/// A file name that a client chose, checked to be one harmless path component, or two: a component of a composed model and
/// a file of it, as `image_model/config.json`.
///
/// The names of outputs are derived from those of inputs, so an input leaves room for a suffix within the 255 bytes of a file
/// system: the format, the number of a shard, an extension.
package struct FileName: Hashable, Sendable, Codable, CustomStringConvertible {
  /// Bytes of the name of an input.
  package static let limit = 180
  /// Bytes of the name of an output; what file systems take.
  package static let outputLimit = 255

  /// The component of a composed model that the file is of; nil for any other file.
  package let component: String?
  /// The name of the file.
  package let file: String

  /// The name, behind that of the component.
  package var description: String { component.map { "\($0)/\(file)" } ?? file }

  /// What a config is called that was given without a name.
  package static let config = FileName(component: nil, file: "config.json")

  /// Takes a decoded name of an input; nil when it is empty, too long, hidden, a path, or has control characters.
  package init?(_ name: String) { self.init(name, limit: Self.limit) }

  /// Takes the name of an output, or one that was checked before: a file, or a folder and a file.
  package static func output(_ name: String) -> FileName? {
    let parts = name.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard let file = FileName(parts[parts.count - 1], limit: outputLimit) else { return nil }
    if parts.count == 1 { return file }
    return FileName(parts[0]).map { file.inside($0.file) }
  }

  /// The same file of a component.
  package func inside(_ component: String?) -> FileName { FileName(component: component, file: file) }

  private init(component: String?, file: String) {
    self.component = component
    self.file = file
  }

  private init?(_ name: String, limit: Int) {
    guard !name.isEmpty, name.utf8.count <= limit, !name.hasPrefix("."),
      name.unicodeScalars.allSatisfy({ scalar in
        scalar != "/" && scalar != "\\" && scalar.properties.generalCategory != .control
          && scalar.properties.generalCategory != .format
          && scalar.properties.generalCategory != .lineSeparator
          && scalar.properties.generalCategory != .paragraphSeparator
      })
    else { return nil }
    self.init(component: nil, file: name)
  }

  /// What a client is told when a name is refused.
  package static let rule =
    "a file name must have 1 to \(limit) bytes, not begin with a dot and not contain slashes, backslashes or control "
    + "characters"

  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let name = FileName.output(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: Self.rule)
    }
    self = name
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }

  /// The name as segments of a path of a URL.
  package var path: String { (component.map { PercentEncoding.encode($0) + "/" } ?? "") + PercentEncoding.encode(file) }

  /// The value of `Content-Disposition` after RFC 6266, which has no folders: an ASCII name for old clients, the exact one for all others.
  package var contentDisposition: String {
    let ascii = String(
      file.unicodeScalars.map { $0.isASCII && $0 != "\"" && $0 != "%" ? Character($0) : "_" })
    return "attachment; filename=\"\(ascii)\"; filename*=UTF-8''\(PercentEncoding.encode(file))"
  }
}
