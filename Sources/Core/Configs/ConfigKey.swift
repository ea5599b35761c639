/// What a key of a `ConfigObject` stands for.
///
/// JSON keys are strings. YAML keys may be numbers, booleans or null, and `0: a` is another document than `'0': a`. A
/// `ConfigObject` has string keys, so such a key is kept as its Python `str()` text behind a mark, U+FDD0: a code point
/// that Unicode reserves for use inside a program. Readers refuse string keys that start with the mark, so the coding
/// is exact. Keys that rules name are strings and never carry it.
enum ConfigKey: Sendable, Hashable {
  /// An ordinary key.
  case string(String)
  /// A number, a boolean or null.
  case scalar(ConfigValue)

  /// U+FDD0 in UTF-8; Swift has no literal for it.
  private static let mark: [UInt8] = [0xEF, 0xB7, 0x90]

  /// Decodes a key of a `ConfigObject`. Complexity: O(1) for ordinary keys.
  init(_ key: String) {
    guard Self.isMarked(key) else {
      self = .string(key)
      return
    }
    let text = Self.text(key)
    switch text {
    case "None": self = .scalar(.null)
    case "True": self = .scalar(.bool(true))
    case "False": self = .scalar(.bool(false))
    default:
      if let int = Int(text) {
        self = .scalar(.int(int))
      } else if text.utf8.allSatisfy({ $0 == UInt8(ascii: "-") || ($0 >= 0x30 && $0 <= 0x39) }) {
        self = .scalar(.number(ConfigNumber(.bigInt(text), text: nil)))
      } else {
        self = .scalar(.double(Double(text) ?? .nan))
      }
    }
  }

  /// The key for a number, a boolean or null; nil for the other kinds of value, which are no keys of that sort.
  static func encode(_ value: ConfigValue) -> String? {
    switch value {
    case .null, .bool, .number: String(decoding: mark, as: UTF8.self) + value.pythonDescription
    case .string, .timestamp, .array, .object: nil
    }
  }

  /// True for the key of a number, a boolean or null.
  static func isMarked(_ key: String) -> Bool { key.utf8.starts(with: mark) }

  /// The text to show: Python's `str()` of the key.
  static func text(_ key: String) -> String {
    isMarked(key) ? String(key.unicodeScalars.dropFirst()) : key
  }
}
