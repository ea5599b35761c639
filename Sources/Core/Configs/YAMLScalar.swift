/// What a plain YAML scalar means: PyYAML's implicit resolvers, which are YAML 1.1 with PyYAML's own narrowing.
///
/// `yes` and `off` are booleans, `017` is fifteen, `1:30` is ninety, `1e-6` lacks a dot and is a string. Source: the
/// resolver table in PyYAML 6.0.3's resolver.py. The matchers are written out by hand, one for each pattern there.
enum YAMLScalar: Hashable {
  case string, null, bool, int, float, timestamp
  /// `<<`, which merges mappings when it is a key.
  case merge
  /// `=`, which PyYAML resolves and then cannot load.
  case value

  /// The kind of a plain scalar. Complexity: O(n).
  init(plain text: String) {
    self = Array(text.utf8).withUnsafeBufferPointer { bytes in
      guard let first = bytes.first else { return .null }
      switch first {
      case UInt8(ascii: "~"): return bytes.count == 1 ? .null : .string
      case UInt8(ascii: "="): return bytes.count == 1 ? .value : .string
      case UInt8(ascii: "<"): return text == "<<" ? .merge : .string
      case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "0")...UInt8(ascii: "9"):
        if Self.isFloat(bytes) { return .float }
        if Self.isInt(bytes) { return .int }
        return Self.isTimestamp(bytes) ? .timestamp : .string
      default:
        guard bytes.count <= 5 else { return .string }
        if Self.nulls.contains(text) { return .null }
        return Self.bools[text] == nil ? .string : .bool
      }
    }
  }

  static let nulls: Set<String> = ["null", "Null", "NULL"]
  static let bools: [String: Bool] = [
    "yes": true, "Yes": true, "YES": true, "no": false, "No": false, "NO": false,
    "true": true, "True": true, "TRUE": true, "false": false, "False": false, "FALSE": false,
    "on": true, "On": true, "ON": true, "off": false, "Off": false, "OFF": false,
  ]

  // [-+]?[0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?  |  \.[0-9][0-9_]*([eE][-+][0-9]+)?
  // [-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*    |  [-+]?\.(inf|Inf|INF)  |  \.(nan|NaN|NAN)
  private static func isFloat(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    var cursor = YAMLCursor(bytes)
    let signed = cursor.skip(oneOf: "+-")
    if cursor.skip(oneOf: ".") {
      if !signed, cursor.isAt(digit: 10) {
        cursor.skipDigits(below: 10, underscores: true)
        return cursor.skipExponent() && cursor.isAtEnd
      }
      let name = cursor.rest
      return name == "inf" || name == "Inf" || name == "INF"
        || !signed && (name == "nan" || name == "NaN" || name == "NAN")
    }
    guard cursor.isAt(digit: 10) else { return false }
    cursor.skipDigits(below: 10, underscores: true)
    let sexagesimal = cursor.skipSexagesimal()
    guard cursor.skip(oneOf: ".") else { return false }
    cursor.skipDigits(below: 10, underscores: true)
    return (sexagesimal || cursor.skipExponent()) && cursor.isAtEnd
  }

  // [-+]?0b[0-1_]+ | [-+]?0[0-7_]+ | [-+]?(0|[1-9][0-9_]*) | [-+]?0x[0-9a-fA-F_]+ | [-+]?[1-9][0-9_]*(:[0-5]?[0-9])+
  private static func isInt(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    var cursor = YAMLCursor(bytes)
    _ = cursor.skip(oneOf: "+-")
    if cursor.skip(oneOf: "0") {
      if cursor.isAtEnd { return true }
      let radix: UInt8 = cursor.skip(oneOf: "b") ? 2 : cursor.skip(oneOf: "x") ? 16 : 8
      guard !cursor.isAtEnd else { return false }
      cursor.skipDigits(below: radix, underscores: true)
      return cursor.isAtEnd
    }
    guard cursor.isAt(digit: 10) else { return false }
    cursor.skipDigits(below: 10, underscores: true)
    _ = cursor.skipSexagesimal()
    return cursor.isAtEnd
  }

  /// True for a timestamp that the calendar and the clock have. PyYAML cannot load a document with any other, so those are
  /// strings. Complexity: O(n).
  static func isMoment(_ text: String) -> Bool {
    guard YAMLScalar(plain: text) == .timestamp else { return false }
    func numbers(_ text: Substring) -> [Int] { text.split { !$0.isWholeNumber }.compactMap { Int($0) } }
    // A sign behind the date, which has eight characters at least, begins the offset of a time zone.
    let sign = text.dropFirst(8).firstIndex { $0 == "+" || $0 == "-" } ?? text.endIndex
    let parts = numbers(text[..<sign])
    let (year, month, day) = (parts[0], parts[1], parts[2])
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    guard year > 0, (1...12).contains(month),
      (1...[31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]).contains(day)
    else { return false }
    guard parts.count > 3 else { return true }
    let offset = numbers(text[sign...])
    return parts[3] < 24 && parts[4] < 60 && parts[5] < 60
      && (offset.first ?? 0) * 60 + (offset.dropFirst().first ?? 0) < 24 * 60
  }

  // yyyy-mm-dd | yyyy-m?m-d?d([Tt]|[ \t]+)h?h:mm:ss(\.[0-9]*)?([ \t]*(Z|[-+]h?h(:mm)?))?
  private static func isTimestamp(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    var cursor = YAMLCursor(bytes)
    guard cursor.skipDigits(from: 4, to: 4), cursor.skip(oneOf: "-"), cursor.skipDigits(from: 1, to: 2),
      cursor.skip(oneOf: "-"), cursor.skipDigits(from: 1, to: 2)
    else { return false }
    if cursor.isAtEnd { return bytes.count == 10 }
    if !cursor.skip(oneOf: "Tt") {
      guard cursor.skip(oneOf: " \t") else { return false }
      while cursor.skip(oneOf: " \t") {}
    }
    guard cursor.skipDigits(from: 1, to: 2), cursor.skip(oneOf: ":"), cursor.skipDigits(from: 2, to: 2),
      cursor.skip(oneOf: ":"), cursor.skipDigits(from: 2, to: 2)
    else { return false }
    if cursor.skip(oneOf: ".") { cursor.skipDigits(below: 10, underscores: false) }
    if cursor.isAtEnd { return true }
    while cursor.skip(oneOf: " \t") {}
    if cursor.skip(oneOf: "Z") { return cursor.isAtEnd }
    guard cursor.skip(oneOf: "+-"), cursor.skipDigits(from: 1, to: 2) else { return false }
    if cursor.skip(oneOf: ":") { return cursor.skipDigits(from: 2, to: 2) && cursor.isAtEnd }
    return cursor.isAtEnd
  }
}

/// Steps over the bytes of one scalar.
private struct YAMLCursor {
  private let bytes: UnsafeBufferPointer<UInt8>
  private var position = 0

  init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  var isAtEnd: Bool { position == bytes.count }
  var rest: String { String(decoding: bytes[position...], as: UTF8.self) }

  func isAt(digit radix: UInt8) -> Bool {
    guard position < bytes.count else { return false }
    switch bytes[position] {
    case 0x30...0x39: return bytes[position] - 0x30 < radix
    case 0x41...0x46, 0x61...0x66: return radix == 16
    default: return false
    }
  }

  mutating func skip(oneOf set: StaticString) -> Bool {
    guard position < bytes.count, set.withUTF8Buffer({ $0.contains(bytes[position]) }) else { return false }
    position += 1
    return true
  }

  mutating func skipDigits(below radix: UInt8, underscores: Bool) {
    while isAt(digit: radix) || underscores && position < bytes.count && bytes[position] == UInt8(ascii: "_") {
      position += 1
    }
  }

  mutating func skipDigits(from least: Int, to most: Int) -> Bool {
    var count = 0
    while count < most, isAt(digit: 10) {
      position += 1
      count += 1
    }
    return count >= least
  }

  /// `([eE][-+][0-9]+)?`; false when it starts and does not go on.
  mutating func skipExponent() -> Bool {
    guard skip(oneOf: "eE") else { return true }
    guard skip(oneOf: "+-"), isAt(digit: 10) else { return false }
    skipDigits(below: 10, underscores: false)
    return true
  }

  /// `(:[0-5]?[0-9])+`; false when nothing was skipped.
  mutating func skipSexagesimal() -> Bool {
    var found = false
    while position < bytes.count, bytes[position] == UInt8(ascii: ":") {
      let start = position
      position += 1
      let tens = position < bytes.count && bytes[position] <= UInt8(ascii: "5")
      guard isAt(digit: 10) else {
        position = start
        break
      }
      position += 1
      if tens, isAt(digit: 10) { position += 1 }
      found = true
    }
    return found
  }
}
