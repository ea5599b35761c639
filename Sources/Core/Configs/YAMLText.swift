/// Strings as YAML scalars that PyYAML reads back as the same strings.
enum YAMLText {
  /// The scalar: plain where that is safe, else in single quotes, else in double quotes with escapes. Always one line.
  ///
  /// Source: `analyze_scalar` and `choose_scalar_style` in PyYAML 6.0.3's emitter.py, for block context.
  static func scalar(_ text: String) -> String {
    let scalars = Array(text.unicodeScalars)
    guard scalars.allSatisfy(isPrintable) else { return doubleQuoted(scalars) }
    if isPlain(scalars), YAMLScalar(plain: text) == .string { return text }
    return "'" + String(String.UnicodeScalarView(scalars.flatMap { $0 == "'" ? ["'", "'"] : [$0] })) + "'"
  }

  /// True when nothing in the text means something to YAML. Precondition: every scalar is printable and no line break.
  private static func isPlain(_ scalars: [Unicode.Scalar]) -> Bool {
    guard let first = scalars.first, let last = scalars.last, first != " ", last != " " else { return false }
    if scalars.count >= 3, scalars[..<3] == ["-", "-", "-"] || scalars[..<3] == [".", ".", "."] { return false }
    switch first {
    case "#", ",", "[", "]", "{", "}", "&", "*", "!", "|", ">", "'", "\"", "%", "@", "`": return false
    // A dash, question mark or colon alone or before a space is an indicator.
    case "-", "?", ":": if scalars.count == 1 || scalars[1] == " " { return false }
    default: break
    }
    for (index, scalar) in scalars.enumerated().dropFirst() {
      if scalar == ":", index + 1 == scalars.count || scalars[index + 1] == " " { return false }
      if scalar == "#", scalars[index - 1] == " " { return false }
    }
    return true
  }

  /// True for what may stand in a YAML stream as it is and breaks no line. Escaped besides: tabs, byte order marks, and
  /// white space that looks like something else.
  private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x20...0x7E: true
    case 0x2028, 0x2029, 0xFEFF: false
    case 0xA1...0xD7FF, 0xE000...0xFFFD, 0x10000...0x10FFFD: true
    default: false
    }
  }

  private static func doubleQuoted(_ scalars: [Unicode.Scalar]) -> String {
    var result = String.UnicodeScalarView("\"".unicodeScalars)
    for scalar in scalars {
      switch scalar {
      case "\"", "\\": result.append(contentsOf: ["\\", scalar])
      case "\n": result.append(contentsOf: ["\\", "n"])
      case "\t": result.append(contentsOf: ["\\", "t"])
      case "\r": result.append(contentsOf: ["\\", "r"])
      case _ where isPrintable(scalar): result.append(scalar)
      default:
        let hex = String(scalar.value, radix: 16, uppercase: true)
        let (letter, width) = scalar.value <= 0xFF ? ("x", 2) : scalar.value <= 0xFFFF ? ("u", 4) : ("U", 8)
        let padding = String(repeating: "0", count: width - hex.utf8.count)
        result.append(contentsOf: "\\\(letter)\(padding)\(hex)".unicodeScalars)
      }
    }
    result.append("\"")
    return String(result)
  }
}
