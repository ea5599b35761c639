internal import OrderedCollections

/// Reads JSON as Python's `json.loads` does, strictly: RFC 8259, and `NaN`, `Infinity` and `-Infinity` beside it.
///
/// The order of keys and the text of numbers are kept. Where readers differ, this one does the following:
/// - A byte order mark at the start is skipped.
/// - A key that occurs twice in one object is refused, or has its last value, as the caller chooses.
/// - A surrogate escape without its other half is refused, as no UTF-8 text can hold it.
/// - An integer of any size up to `Limits.numberDigits` is kept exactly; a float beyond the range of `Double` is
///   infinite, as in Python.
/// - A key that starts with U+FDD0, which `ConfigKey` needs, is refused.
package enum JSONReader {
  /// Parses one document, whatever its top-level value is.
  ///
  /// `name` is what errors call the document. Throws `.unreadableInput` with line and column for anything that is no
  /// JSON, `.hostileInput` when `limits.configBytes`, `.configNodes`, `.nesting` or `.numberDigits` is exceeded. A
  /// caller with larger documents, such as shard indexes, raises those fields.
  ///
  /// Complexity: O(bytes); memory is a small multiple of the document.
  package static func parse(
    _ bytes: [UInt8], name: String, limits: Limits = .standard
  ) throws(ConversionError) -> ConfigValue {
    var parser = try parser(bytes, name, limits)
    return try parser.document()
  }

  /// As above, but a key that occurs twice has its last value, in its first place, and is added to the warnings.
  package static func parse(
    _ bytes: [UInt8], name: String, limits: Limits = .standard, warnings: inout [Diagnostic]
  ) throws(ConversionError) -> ConfigValue {
    var parser = try parser(bytes, name, limits)
    parser.repeated = RepeatedKeys()
    let value = try parser.document()
    warnings += parser.repeated?.findings(in: name) ?? []
    return value
  }

  private static func parser(
    _ bytes: [UInt8], _ name: String, _ limits: Limits
  ) throws(ConversionError) -> JSONParser {
    guard bytes.count <= limits.configBytes else {
      throw ConversionError(
        .hostileInput, "\(name) has \(bytes.count) bytes; at most \(limits.configBytes) are read")
    }
    return JSONParser(bytes: bytes, name: name, limits: limits)
  }
}

/// One pass over the bytes. Recursion is as deep as the document, hence the nesting limit.
private struct JSONParser {
  let bytes: [UInt8]
  let name: String
  let limits: Limits
  var position = 0
  var depth = 0
  var nodes = 0
  /// Keys that occurred twice; nil where they are refused.
  var repeated: RepeatedKeys?
  private var pacer = Interruption.Pacer()

  init(bytes: [UInt8], name: String, limits: Limits) {
    self.bytes = bytes
    self.name = name
    self.limits = limits
  }

  mutating func document() throws(ConversionError) -> ConfigValue {
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
    skipSpace()
    guard position < bytes.count else { throw failure("the document is empty") }
    let value = try self.value()
    skipSpace()
    guard position == bytes.count else { throw failure("more text after the end of the document") }
    return value
  }

  /// The next byte, or 0 at the end; no JSON token starts with or contains a raw 0.
  private var next: UInt8 { position < bytes.count ? bytes[position] : 0 }

  private mutating func skipSpace() {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x0A, 0x0D, 0x09: position += 1
      default: return
      }
    }
  }

  private mutating func value() throws(ConversionError) -> ConfigValue {
    nodes += 1
    try pacer.step()
    // The many small texts of an HDF5 checkpoint are paid for with its datasets.
    if nodes % 64 == 0 { try limits.take(64 * 192) }
    guard nodes <= limits.configNodes else {
      throw failure("more than \(limits.configNodes) values", .hostileInput)
    }
    switch next {
    case UInt8(ascii: "{"): return try object()
    case UInt8(ascii: "["): return try array()
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case UInt8(ascii: "N"): return try word("NaN", .number(ConfigNumber(.double(.nan), text: "NaN")))
    case UInt8(ascii: "I"): return try word("Infinity", .number(ConfigNumber(.double(.infinity), text: "Infinity")))
    default: throw failure(position < bytes.count ? "a value is expected here" : "the document ends in the middle")
    }
  }

  private mutating func word(_ text: StaticString, _ value: ConfigValue) throws(ConversionError) -> ConfigValue {
    let matches = text.withUTF8Buffer { bytes[position...].starts(with: $0) }
    guard matches else { throw failure("a value is expected here; strings need double quotes") }
    position += text.utf8CodeUnitCount
    return value
  }

  private mutating func enter() throws(ConversionError) {
    depth += 1
    guard depth <= limits.nesting else {
      throw failure("nested more than \(limits.nesting) levels deep", .hostileInput)
    }
    position += 1
    skipSpace()
  }

  /// After an element: true when another one follows, false when the container ended.
  private mutating func another(before close: UInt8) throws(ConversionError) -> Bool {
    skipSpace()
    if next == close {
      position += 1
      depth -= 1
      return false
    }
    guard next == UInt8(ascii: ",") else {
      throw failure(
        position < bytes.count
          ? "a comma or \(Unicode.Scalar(close)) is expected here" : "the document ends in the middle")
    }
    position += 1
    skipSpace()
    if next == close { throw failure("no comma is allowed before \(Unicode.Scalar(close))") }
    return true
  }

  private mutating func array() throws(ConversionError) -> ConfigValue {
    try enter()
    var values: [ConfigValue] = []
    if next == UInt8(ascii: "]") {
      position += 1
      depth -= 1
      return .array(values)
    }
    repeat { values.append(try value()) } while try another(before: UInt8(ascii: "]"))
    return .array(values)
  }

  private mutating func object() throws(ConversionError) -> ConfigValue {
    try enter()
    var object = ConfigObject()
    if next == UInt8(ascii: "}") {
      position += 1
      depth -= 1
      return .object(object)
    }
    repeat {
      let start = position
      guard next == UInt8(ascii: "\"") else {
        throw failure(
          position < bytes.count ? "a key in double quotes is expected here" : "the document ends in the middle")
      }
      let key = try string()
      guard !ConfigKey.isMarked(key) else {
        throw failure("a key starts with the reserved code point U+FDD0", at: start)
      }
      skipSpace()
      guard next == UInt8(ascii: ":") else {
        throw failure(position < bytes.count ? "a colon is expected after the key" : "the document ends in the middle")
      }
      position += 1
      skipSpace()
      let value = try self.value()
      if object.updateValue(value, forKey: key) != nil {
        guard repeated != nil else {
          throw failure("the key \(PythonText.repr(key)) occurs twice in one object; keep one of the two", at: start)
        }
        let place = (name: name, bytes: bytes)
        repeated?.add(key) { Self.place(of: start, in: place.bytes, named: place.name) }
      }
    } while try another(before: UInt8(ascii: "}"))
    return .object(object)
  }

  private mutating func number() throws(ConversionError) -> ConfigValue {
    let start = position
    if next == UInt8(ascii: "-") {
      position += 1
      if next == UInt8(ascii: "I") {
        return try word("Infinity", .number(ConfigNumber(.double(-.infinity), text: "-Infinity")))
      }
    }
    if next == UInt8(ascii: "0") {
      position += 1
      if isDigit(next) { throw failure("a number may not start with a zero", at: start) }
    } else {
      try digits()
    }
    var isFloat = false
    if next == UInt8(ascii: ".") {
      isFloat = true
      position += 1
      try digits()
    }
    if next | 0x20 == UInt8(ascii: "e") {
      isFloat = true
      position += 1
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { position += 1 }
      try digits()
    }
    guard position - start <= limits.numberDigits else {
      throw failure("a number of more than \(limits.numberDigits) characters", at: start, .hostileInput)
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    if isFloat { return .number(ConfigNumber(.double(Double(text) ?? .nan), text: text)) }
    return .number(ConfigNumber(Int(text).map { .int($0) } ?? .bigInt(text), text: text))
  }

  private func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

  private mutating func digits() throws(ConversionError) {
    guard isDigit(next) else { throw failure("a digit is expected here") }
    while isDigit(next) { position += 1 }
  }

  private mutating func string() throws(ConversionError) -> String {
    let start = position
    position += 1
    let first = position
    while position < bytes.count, bytes[position] != UInt8(ascii: "\""), bytes[position] != UInt8(ascii: "\\"),
      bytes[position] >= 0x20
    {
      position += 1
    }
    if next == UInt8(ascii: "\"") {
      let text = String(validating: bytes[first..<position], as: UTF8.self)
      position += 1
      guard let text else { throw failure("the string that starts here is not valid UTF-8", at: start) }
      return text
    }
    return try escapedString(from: first, start: start)
  }

  private mutating func escapedString(from first: Int, start: Int) throws(ConversionError) -> String {
    var decoded = Array(bytes[first..<position])
    while true {
      guard position < bytes.count else { throw failure("the string that starts here does not end", at: start) }
      let byte = bytes[position]
      if byte == UInt8(ascii: "\"") { break }
      guard byte >= 0x20 else { throw failure("a control character inside a string; write it as an escape") }
      position += 1
      if byte == UInt8(ascii: "\\") {
        decoded.append(contentsOf: try escape())
      } else {
        decoded.append(byte)
      }
    }
    position += 1
    guard let text = String(validating: decoded, as: UTF8.self) else {
      throw failure("the string that starts here is not valid UTF-8", at: start)
    }
    return text
  }

  /// The UTF-8 of one escape; the backslash is behind us.
  private mutating func escape() throws(ConversionError) -> Unicode.UTF8.EncodedScalar {
    let letter = next
    let start = position - 1
    position += 1
    let scalar: Unicode.Scalar
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): scalar = Unicode.Scalar(letter)
    case UInt8(ascii: "n"): scalar = "\n"
    case UInt8(ascii: "t"): scalar = "\t"
    case UInt8(ascii: "r"): scalar = "\r"
    case UInt8(ascii: "b"): scalar = "\u{08}"
    case UInt8(ascii: "f"): scalar = "\u{0C}"
    case UInt8(ascii: "u"):
      var code = UInt32(try hexadecimal())
      if code >= 0xD800, code < 0xDC00, next == UInt8(ascii: "\\"), position + 1 < bytes.count,
        bytes[position + 1] == UInt8(ascii: "u")
      {
        position += 2
        let low = UInt32(try hexadecimal())
        if low >= 0xDC00, low < 0xE000 { code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00) }
      }
      guard let valid = Unicode.Scalar(code) else {
        throw failure("a surrogate escape without its other half", at: start)
      }
      scalar = valid
    default: throw failure("an unknown escape in a string", at: start)
    }
    guard let encoded = Unicode.UTF8.encode(scalar) else { throw failure("an unknown escape in a string", at: start) }
    return encoded
  }

  private mutating func hexadecimal() throws(ConversionError) -> UInt16 {
    var code: UInt16 = 0
    for _ in 0..<4 {
      let digit: UInt8
      switch next {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = next - 0x30
      case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"): digit = (next | 0x20) - 0x57
      default: throw failure("four hexadecimal digits are expected after \\u")
      }
      code = code << 4 | UInt16(digit)
      position += 1
    }
    return code
  }

  /// An error at a byte; lines and columns count from 1, columns in bytes.
  private func failure(
    _ what: String, at offset: Int? = nil, _ kind: ErrorKind = .unreadableInput
  ) -> ConversionError {
    ConversionError(kind, "\(Self.place(of: offset ?? position, in: bytes, named: name)): \(what)")
  }

  private static func place(of offset: Int, in bytes: [UInt8], named name: String) -> String {
    let before = bytes[..<min(offset, bytes.count)]
    let line = before.reduce(1) { $1 == 0x0A ? $0 + 1 : $0 }
    let column = before.count - (before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0) + 1
    return "\(name), line \(line) column \(column)"
  }
}
