/// A file name that a client chose, checked to be one harmless path component.
///
/// The names of outputs are derived from those of inputs, so an input leaves room for a suffix within the 255 bytes of a file
/// system: the format, the number of a shard, an extension.
struct FileName: Hashable, Sendable, Codable, CustomStringConvertible {
  /// Bytes of the name of an input.
  static let limit = 180
  /// Bytes of the name of an output; what file systems take.
  static let outputLimit = 255

  /// The name.
  let description: String

  /// Takes a decoded name of an input; nil when it is empty, too long, hidden, a path, or has control characters.
  init?(_ name: String) { self.init(name, limit: Self.limit) }

  /// Takes the name of an output.
  static func output(_ name: String) -> FileName? { FileName(name, limit: outputLimit) }

  private init?(_ name: String, limit: Int) {
    guard !name.isEmpty, name.utf8.count <= limit, !name.hasPrefix("."),
      name.unicodeScalars.allSatisfy({ scalar in
        scalar != "/" && scalar != "\\" && scalar.properties.generalCategory != .control
          && scalar.properties.generalCategory != .format
          && scalar.properties.generalCategory != .lineSeparator
          && scalar.properties.generalCategory != .paragraphSeparator
      })
    else { return nil }
    description = name
  }

  /// What a client is told when a name is refused.
  static let rule =
    "a file name must have 1 to \(limit) bytes, not begin with a dot and not contain slashes, backslashes or control "
    + "characters"

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let name = FileName.output(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: Self.rule)
    }
    self = name
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }

  /// The value of `Content-Disposition` after RFC 6266: an ASCII name for old clients, the exact one for all others.
  var contentDisposition: String {
    let ascii = String(
      description.unicodeScalars.map { $0.isASCII && $0 != "\"" && $0 != "%" ? Character($0) : "_" })
    return "attachment; filename=\"\(ascii)\"; filename*=UTF-8''\(PercentEncoding.encode(description))"
  }
}
