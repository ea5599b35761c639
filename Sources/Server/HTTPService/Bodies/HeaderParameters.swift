import API

/// A header of the form `value; name=token; name="quoted string"`.
///
/// In quoted strings a backslash escapes a quote or a backslash only, since browsers send Windows paths unescaped, and
/// `%22` stands for a quote as the HTML standard has it for file names.
struct HeaderParameters {
  /// What comes before the first semicolon.
  let value: String
  private var parameters: [String: String] = [:]

  /// Reads a header; parameters that make no sense are left out. The first of two equal names counts.
  init(_ header: String) {
    let start = header.firstIndex(of: ";") ?? header.endIndex
    value = String(header[..<start].trimmingSpaces)
    var rest = header[start...]
    while rest.first == ";" {
      rest = rest.dropFirst()
      let name = rest.prefix { $0 != "=" && $0 != ";" }
      rest = rest.dropFirst(name.count)
      guard rest.first == "=" else { continue }
      rest = rest.dropFirst().drop { $0 == " " || $0 == "\t" }
      var text = ""
      if rest.first == "\"" {
        rest = rest.dropFirst()
        while let character = rest.popFirst(), character != "\"" {
          if character == "\\", let next = rest.first, next == "\"" || next == "\\" {
            text.append(rest.removeFirst())
          } else {
            text.append(character)
          }
        }
        rest = rest.drop { $0 != ";" }
      } else {
        let token = rest.prefix { $0 != ";" }
        rest = rest.dropFirst(token.count)
        text = String(token.trimmingSpaces)
      }
      let key = name.trimmingSpaces.lowercased()
      if parameters[key] == nil { parameters[key] = text }
    }
  }

  /// The text of an extended value, `charset'language'percent-encoded`, in UTF-8 or ISO-8859-1; nil when it is none
  /// (RFC 5987, section 3.2.1).
  static func extended(_ value: String) -> String? {
    let parts = value.split(separator: "'", omittingEmptySubsequences: false)
    guard parts.count == 3 else { return nil }
    var bytes: [UInt8] = []
    var rest = parts[2].utf8[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        guard byte > 0x20, byte < 0x7F else { return nil }
        bytes.append(byte)
        continue
      }
      guard rest.count >= 2, let code = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16),
        rest.prefix(2).allSatisfy({ $0 != UInt8(ascii: "+") })
      else { return nil }
      bytes.append(code)
      rest = rest.dropFirst(2)
    }
    switch parts[0].lowercased() {
    case "utf-8": return String(validating: bytes, as: UTF8.self)
    case "iso-8859-1": return String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
    default: return nil
    }
  }

  /// A parameter by its lower-case name.
  mutating func take(_ name: String) -> String? {
    guard let text = parameters.removeValue(forKey: name) else { return nil }
    return name == "filename"
      ? text.split(separator: "%22", omittingEmptySubsequences: false).joined(separator: "\"") : text
  }
}
