internal import OrderedCollections

/// Writes config values as Python's `json.dumps` lays them out.
package enum JSONWriter {
  /// The document as `json.dumps(value, indent=4, ensure_ascii=False)` writes it, and a final newline.
  ///
  /// A number keeps the text it was read with as long as that is JSON; computed floats are written as Python's `repr`.
  /// Infinite numbers and NaN are written as Python does, though no standard JSON has them. Keys that are no strings
  /// become strings as in Python: `True` is `"true"`, `None` is `"null"`. Complexity: O(document).
  package static func render(_ value: ConfigValue) -> String {
    render(value) {}
  }

  /// The same, with a call for each value, by which a long document can be given up.
  static func render<Failure: Error>(
    _ value: ConfigValue, step: () throws(Failure) -> Void
  ) throws(Failure) -> String {
    var writer = JSONPrinter(indented: true)
    try writer.write(value, indent: 0, step: step)
    return writer.text + "\n"
  }

  /// The document on one line, without spaces and without a newline.
  package static func renderCompact(_ value: ConfigValue) -> String {
    var writer = JSONPrinter(indented: false)
    writer.write(value, indent: 0) {}
    return writer.text
  }

  /// A string literal: quotes, backslashes and control characters escaped, everything else as it is.
  static func quoted(_ text: String) -> String {
    var writer = JSONPrinter(indented: false)
    writer.write(string: text)
    return writer.text
  }
}

private struct JSONPrinter {
  let indented: Bool
  var text = ""

  init(indented: Bool) { self.indented = indented }

  mutating func write<Failure: Error>(
    _ value: ConfigValue, indent: Int, step: () throws(Failure) -> Void
  ) throws(Failure) {
    try step()
    switch value {
    case .null: text += "null"
    case .bool(let flag): text += flag ? "true" : "false"
    case .number(let number): text += JSONNumber.text(number)
    case .string(let string), .timestamp(let string): write(string: string)
    case .array(let values):
      guard !values.isEmpty else {
        text += "[]"
        return
      }
      text += "["
      for (index, element) in values.enumerated() {
        separate(first: index == 0, indent: indent + 4)
        try write(element, indent: indent + 4, step: step)
      }
      newline(indent)
      text += "]"
    case .object(let object):
      guard !object.isEmpty else {
        text += "{}"
        return
      }
      text += "{"
      for (index, (key, element)) in object.enumerated() {
        separate(first: index == 0, indent: indent + 4)
        write(string: Self.keyText(key))
        text += indented ? ": " : ":"
        try write(element, indent: indent + 4, step: step)
      }
      newline(indent)
      text += "}"
    }
  }

  private static func keyText(_ key: String) -> String {
    switch ConfigKey(key) {
    case .string(let text): text
    case .scalar(.null): "null"
    case .scalar(.bool(let flag)): flag ? "true" : "false"
    case .scalar(.number(let number)): JSONNumber.text(number)
    case .scalar: ConfigKey.text(key)
    }
  }

  private mutating func separate(first: Bool, indent: Int) {
    if !first { text += "," }
    newline(indent)
  }

  private mutating func newline(_ indent: Int) {
    guard indented else { return }
    text += "\n"
    text += String(repeating: " ", count: indent)
  }

  mutating func write(string: String) {
    var string = string
    // A tree of many tensors is quoted as one string of tens of megabytes: byte by byte, and most keys as they are.
    let escaped: [UInt8]? = string.withUTF8 { utf8 in
      guard let first = utf8.firstIndex(where: Self.needsEscape) else { return nil }
      var bytes = Array(utf8[..<first])
      bytes.reserveCapacity(utf8.count + utf8.count / 8)
      for byte in utf8[first...] {
        if Self.needsEscape(byte) { bytes += Self.escape(byte).utf8 } else { bytes.append(byte) }
      }
      return bytes
    }
    text += "\""
    if let escaped { text += String(decoding: escaped, as: UTF8.self) } else { text += string }
    text += "\""
  }

  private static func needsEscape(_ byte: UInt8) -> Bool {
    byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
  }

  /// What is written for a byte that does not stand for itself.
  private static func escape(_ byte: UInt8) -> String {
    switch Unicode.Scalar(byte) {
    case "\"": return "\\\""
    case "\\": return "\\\\"
    case "\n": return "\\n"
    case "\r": return "\\r"
    case "\t": return "\\t"
    case "\u{08}": return "\\b"
    case "\u{0C}": return "\\f"
    default: return (byte < 0x10 ? "\\u000" : "\\u00") + String(byte, radix: 16)
    }
  }
}

/// The text of a number in JSON.
enum JSONNumber {
  /// The text it was read with when that is JSON and was somebody's choice; otherwise as Python computes it.
  ///
  /// `1.0e-05` is how PyYAML dumps what Python prints as `1e-05`, so nobody chose it.
  static func text(_ number: ConfigNumber) -> String {
    let source = number.text.flatMap { isJSON($0) ? $0 : nil }
    switch number.value {
    case .int(let int): return source ?? String(int)
    case .bigInt(let digits): return source ?? digits
    case .double(let double):
      if let source, source != PythonFloat.yaml(double) { return source }
      return PythonFloat.json(double)
    }
  }

  private static func isJSON(_ text: String) -> Bool {
    var bytes = Substring(text).utf8
    func dropDigits() -> Bool {
      let count = bytes.prefix { $0 >= 0x30 && $0 <= 0x39 }.count
      bytes = bytes.dropFirst(count)
      return count > 0
    }
    if bytes.first == UInt8(ascii: "-") { bytes = bytes.dropFirst() }
    if bytes.first == UInt8(ascii: "0") {
      bytes = bytes.dropFirst()
    } else if !dropDigits() {
      return false
    }
    if bytes.first == UInt8(ascii: ".") {
      bytes = bytes.dropFirst()
      if !dropDigits() { return false }
    }
    if let mark = bytes.first, mark | 0x20 == UInt8(ascii: "e") {
      bytes = bytes.dropFirst()
      if let sign = bytes.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { bytes = bytes.dropFirst() }
      if !dropDigits() { return false }
    }
    return bytes.isEmpty
  }
}
