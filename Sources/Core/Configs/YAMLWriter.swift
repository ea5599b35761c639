internal import OrderedCollections

/// Writes config values as PyYAML's `yaml.dump(value, indent=4, sort_keys=False, allow_unicode=True)` lays them out.
///
/// Long lines are not folded and repeated values are written out instead of aliased; what PyYAML reads back is the same.
package enum YAMLWriter {
  /// The document, in block style, with a final newline.
  ///
  /// A number keeps the text it was read with as long as YAML 1.1 reads it as the same number; others are written as
  /// PyYAML does (`1.0e-05`, `.inf`). A string is quoted when PyYAML would read something else from it. Keys keep
  /// their order and their type, see `ConfigKey`. Complexity: O(document).
  package static func render(_ value: ConfigValue) -> String {
    var printer = YAMLPrinter()
    printer.write(value, indent: 0, context: .start)
    return printer.text
  }

  /// One entry of a block mapping whose keys start at a column, with its indentation and a final newline.
  static func render(key: String, _ value: ConfigValue, indent: Int) -> String {
    var printer = YAMLPrinter()
    printer.writeEntry(key: key, value, indent: indent)
    return printer.text
  }

  /// A value that stands on one line: a scalar or an empty container; nil for other values.
  static func line(_ value: ConfigValue) -> String? {
    switch value {
    case .null: "null"
    case .bool(let flag): flag ? "true" : "false"
    case .number(let number): self.text(number)
    case .string(let text): YAMLText.scalar(text)
    case .timestamp(let text): text
    case .array(let values): values.isEmpty ? "[]" : nil
    case .object(let object): object.isEmpty ? "{}" : nil
    }
  }

  /// A key without its colon.
  static func key(_ key: String) -> String {
    switch ConfigKey(key) {
    case .string(let text): YAMLText.scalar(text)
    case .scalar(let value): line(value) ?? ConfigKey.text(key)
    }
  }

  private static func text(_ number: ConfigNumber) -> String {
    if let text = number.text, isPlain(text, number) { return text }
    return switch number.value {
    case .int(let int): String(int)
    case .bigInt(let digits): digits
    case .double(let double): PythonFloat.yaml(double)
    }
  }

  /// True when a plain scalar of this text reads as this number.
  private static func isPlain(_ text: String, _ number: ConfigNumber) -> Bool {
    let kind = YAMLScalar(plain: text)
    guard kind == .int || kind == .float, case .number(let read) = kind.value(of: text, keepingText: false) else {
      return false
    }
    if case .double(let left) = read.value, case .double(let right) = number.value, left.isNaN { return right.isNaN }
    return read == number
  }
}

private struct YAMLPrinter {
  /// What stands before a value on its line.
  enum Context {
    /// Nothing but indentation, or the dash and spaces of a list.
    case start
    /// A key and its colon.
    case key
  }

  /// Columns a level adds; list items are dashes padded to the same width.
  static let step = 4
  var text = ""

  mutating func write(_ value: ConfigValue, indent: Int, context: Context) {
    if let line = YAMLWriter.line(value) {
      if context == .key { text += " " }
      text += line + "\n"
      return
    }
    switch value {
    case .object(let object):
      let inner = context == .key ? indent + Self.step : indent
      if context == .key { text += "\n" }
      for (index, (key, element)) in object.enumerated() {
        if index > 0 || context == .key { pad(inner) }
        write(key: key, indent: inner)
        write(element, indent: inner, context: .key)
      }
    case .array(let values):
      // A list under a key starts in the column of the key.
      if context == .key { text += "\n" }
      for (index, element) in values.enumerated() {
        if index > 0 || context == .key { pad(indent) }
        text += YAMLWriter.line(element) == nil ? "-   " : "- "
        write(element, indent: indent + Self.step, context: .start)
      }
    case .null, .bool, .number, .string, .timestamp: break
    }
  }

  mutating func writeEntry(key: String, _ value: ConfigValue, indent: Int) {
    pad(indent)
    write(key: key, indent: indent)
    write(value, indent: indent, context: .key)
  }

  private mutating func write(key: String, indent: Int) {
    let key = YAMLWriter.key(key)
    // YAML finds the colon of a key within 1,024 characters only; PyYAML turns to the long form much earlier.
    if key.utf8.count < 128 {
      text += key + ":"
    } else {
      text += "? " + key + "\n"
      pad(indent)
      text += ":"
    }
  }

  private mutating func pad(_ indent: Int) { text += String(repeating: " ", count: indent) }
}
