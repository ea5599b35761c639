/// A cursor over the JSON of a safetensors header.
struct SafetensorsHeaderParser {
  private let bytes: [UInt8]
  private let path: String
  private let limits: Limits
  private var position = 0

  init(_ bytes: [UInt8], path: String, limits: Limits) {
    self.bytes = bytes
    self.path = path
    self.limits = limits
  }

  /// The next byte that is no white space, without taking it.
  mutating func peek() throws(ConversionError) -> UInt8 {
    while position < bytes.count, Self.isSpace(bytes[position]) { position += 1 }
    guard position < bytes.count else { throw unreadable("ends in the middle of its JSON") }
    return bytes[position]
  }

  /// Takes a character that must come next.
  mutating func expect(_ character: Unicode.Scalar) throws(ConversionError) {
    guard try peek() == UInt8(truncatingIfNeeded: character.value) else {
      throw unreadable("is no JSON object of tensors: '\(character)' is expected at byte \(position)")
    }
    position += 1
  }

  /// True when the next value is `null`, which is taken then.
  mutating func takesNull() throws(ConversionError) -> Bool {
    guard try peek() == UInt8(ascii: "n") else { return false }
    guard bytes[position...].starts(with: "null".utf8),
      position + 4 == bytes.count || !Self.isLiteral(bytes[position + 4])
    else { throw unreadable("has an unknown word at byte \(position)") }
    position += 4
    return true
  }

  /// True when another member follows; takes the comma before it, or the closing character.
  mutating func hasNext(_ closing: Unicode.Scalar, first: inout Bool) throws(ConversionError) -> Bool {
    if try peek() == UInt8(truncatingIfNeeded: closing.value) {
      position += 1
      return false
    }
    if !first { try expect(",") }
    first = false
    return true
  }

  /// A member's name and the colon after it.
  mutating func key() throws(ConversionError) -> String {
    let key = try string()
    try expect(":")
    return key
  }

  mutating func string() throws(ConversionError) -> String {
    try expect("\"")
    let start = position
    while position < bytes.count {
      let byte = bytes[position]
      if byte == UInt8(ascii: "\"") {
        defer { position += 1 }
        guard let text = String(validating: bytes[start..<position], as: UTF8.self) else {
          throw unreadable("has a name that is not UTF-8 at byte \(start)")
        }
        return text
      }
      if byte == UInt8(ascii: "\\") { return try escapedString(from: start) }
      guard byte >= 0x20 else { throw unreadable("has a control character in a name at byte \(position)") }
      position += 1
    }
    throw unreadable("ends in the middle of a name")
  }

  /// The rest of a string from its first escape on; `start` is where the string began.
  private mutating func escapedString(from start: Int) throws(ConversionError) -> String {
    var text = Array(bytes[start..<position])
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      if byte == UInt8(ascii: "\"") {
        guard let string = String(validating: text, as: UTF8.self) else {
          throw unreadable("has a name that is not UTF-8 at byte \(start)")
        }
        return string
      }
      guard byte >= 0x20 else { throw unreadable("has a control character in a name at byte \(position)") }
      if byte == UInt8(ascii: "\\") { text += try escape() } else { text.append(byte) }
    }
    throw unreadable("ends in the middle of a name")
  }

  private mutating func escape() throws(ConversionError) -> [UInt8] {
    guard position < bytes.count else { throw unreadable("ends in the middle of a name") }
    let byte = bytes[position]
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
    case UInt8(ascii: "b"): return [0x08]
    case UInt8(ascii: "f"): return [0x0C]
    case UInt8(ascii: "n"): return [0x0A]
    case UInt8(ascii: "r"): return [0x0D]
    case UInt8(ascii: "t"): return [0x09]
    case UInt8(ascii: "u"):
      let high = try hexadecimal()
      if let scalar = Unicode.Scalar(high) { return Array(String(Character(scalar)).utf8) }
      // The first half of a surrogate pair: the second must follow.
      guard high < 0xDC00, position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
        bytes[position + 1] == UInt8(ascii: "u")
      else { throw unreadable("has half a surrogate pair at byte \(position)") }
      position += 2
      let low = try hexadecimal()
      guard (0xDC00...0xDFFF).contains(low),
        let scalar = Unicode.Scalar(0x10000 + (high - 0xD800) << 10 + (low - 0xDC00))
      else { throw unreadable("has half a surrogate pair at byte \(position)") }
      return Array(String(Character(scalar)).utf8)
    default: throw unreadable("has an unknown escape in a name at byte \(position)")
    }
  }

  private mutating func hexadecimal() throws(ConversionError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard position < bytes.count, let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue else {
        throw unreadable("has a damaged escape in a name at byte \(position)")
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }

  /// An array of sizes: non-negative integers that fit 63 bits.
  mutating func sizes(of name: String) throws(ConversionError) -> [Int] {
    try expect("[")
    var sizes: [Int] = []
    var first = true
    while try hasNext("]", first: &first) {
      guard sizes.count < limits.rank else {
        throw hostile("has more than \(limits.rank) dimensions for '\(name.prefix(200))'")
      }
      if [UInt8(ascii: "["), UInt8(ascii: "{")].contains(try peek()) {
        throw hostile("has nested values where sizes belong, at '\(name.prefix(200))'")
      }
      let start = position
      var value = 0
      while position < bytes.count, (0x30...0x39).contains(bytes[position]) {
        let (product, overflow) = value.multipliedReportingOverflow(by: 10)
        let (sum, carry) = product.addingReportingOverflow(Int(bytes[position] - 0x30))
        guard !overflow, !carry else { throw hostile("has a size beyond 63 bits at '\(name.prefix(200))'") }
        value = sum
        position += 1
      }
      guard position > start, position == start + 1 || bytes[start] != 0x30,
        position < bytes.count, ![UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains(bytes[position])
      else { throw hostile("has a size that is no whole number at '\(name.prefix(200))'") }
      sizes.append(value)
    }
    return sizes
  }

  /// Passes over a value of any kind, without recursion.
  mutating func skipValue() throws(ConversionError) {
    var closings: [UInt8] = []
    repeat {
      switch try peek() {
      case UInt8(ascii: "\""): _ = try string()
      case UInt8(ascii: "{"):
        closings.append(UInt8(ascii: "}"))
        position += 1
      case UInt8(ascii: "["):
        closings.append(UInt8(ascii: "]"))
        position += 1
      case UInt8(ascii: ","), UInt8(ascii: ":"): position += 1
      case let byte where byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]"):
        guard closings.popLast() == byte else { throw unreadable("has unbalanced brackets at byte \(position)") }
        position += 1
      default:
        let start = position
        while position < bytes.count, Self.isLiteral(bytes[position]) { position += 1 }
        guard position > start else { throw unreadable("has an unknown character at byte \(position)") }
      }
      guard closings.count <= limits.nesting else { throw hostile("nests more than \(limits.nesting) deep") }
    } while !closings.isEmpty
  }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }

  /// Letters, digits and signs, of which numbers, `true`, `false` and `null` are made.
  private static func isLiteral(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || [0x2B, 0x2D, 0x2E].contains(byte)
  }

  /// Checks that only white space is left; writers pad with blanks.
  func end() throws(ConversionError) {
    guard bytes[position...].allSatisfy(Self.isSpace) else {
      throw unreadable("has more than one JSON value")
    }
  }

  /// An error for what no reader of safetensors takes.
  func unreadable(_ message: String) -> ConversionError {
    ConversionError(.unreadableInput, "\(path): the safetensors header \(message)")
  }

  /// An error for what only a fault or an attack writes.
  func hostile(_ message: String) -> ConversionError {
    ConversionError(.hostileInput, "\(path): the safetensors header \(message)")
  }
}
