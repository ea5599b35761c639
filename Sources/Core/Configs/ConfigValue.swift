package import OrderedCollections

/// A value of a config document, JSON or YAML, with the order of its keys and the text of its numbers kept.
package indirect enum ConfigValue: Sendable, Hashable {
  /// `null`, `~` or nothing.
  case null
  case bool(Bool)
  /// An integer or a float.
  case number(ConfigNumber)
  case string(String)
  /// A date or a time of a YAML document, as it is written there. JSON has no such thing and gets a string.
  case timestamp(String)
  /// A sequence.
  case array([ConfigValue])
  /// A mapping.
  case object(ConfigObject)

  /// An integer.
  package static func int(_ value: Int) -> ConfigValue { .number(ConfigNumber(value)) }
  /// A float.
  package static func double(_ value: Double) -> ConfigValue { .number(ConfigNumber(value)) }
}

/// A mapping of a config document, in document order. Keys are distinct.
package typealias ConfigObject = OrderedDictionary<String, ConfigValue>

/// A number with the text it was written as, if it was read. Two numbers are equal when kind and value are.
package struct ConfigNumber: Sendable, Hashable {
  /// Python's two kinds of number; an integer of any size is no float of the same value.
  package enum Value: Sendable, Hashable {
    /// An integer that fits 64 bits.
    case int(Int)
    /// A longer integer: an optional minus sign and decimal digits.
    case bigInt(String)
    /// A float.
    case double(Double)
  }

  package let value: Value
  /// The text in the document it was read from; nil for a computed number.
  package let text: String?

  /// A number that was read.
  package init(_ value: Value, text: String?) {
    self.value = value
    self.text = text
  }

  /// A computed integer.
  package init(_ value: Int) { self.init(.int(value), text: nil) }
  /// A computed float.
  package init(_ value: Double) { self.init(.double(value), text: nil) }

  /// The integer, when it is one that fits 64 bits.
  package var int: Int? { if case .int(let int) = value { int } else { nil } }

  /// The value as a float, as Python's `float()` gives it.
  package var double: Double {
    switch value {
    case .int(let int): Double(int)
    case .bigInt(let digits): Double(digits) ?? .infinity
    case .double(let double): double
    }
  }

  /// Compares kind and value; the text that a number was written as does not count.
  package static func == (left: ConfigNumber, right: ConfigNumber) -> Bool { left.value == right.value }
  /// Hashes what `==` compares.
  package func hash(into hasher: inout Hasher) { hasher.combine(value) }
}

extension ConfigValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByFloatLiteral, ExpressibleByNilLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  /// A literal in a config rule.
  package init(stringLiteral value: String) { self = .string(value) }
  /// A literal in a config rule.
  package init(integerLiteral value: Int) { self = .int(value) }
  /// A literal in a config rule.
  package init(booleanLiteral value: Bool) { self = .bool(value) }
  /// A literal in a config rule.
  package init(floatLiteral value: Double) { self = .double(value) }
  /// A literal in a config rule.
  package init(nilLiteral: ()) { self = .null }
  /// A sequence.
  package init(arrayLiteral elements: ConfigValue...) { self = .array(elements) }
  /// A mapping. Precondition: the keys are distinct.
  package init(dictionaryLiteral elements: (String, ConfigValue)...) {
    self = .object(ConfigObject(uniqueKeysWithValues: elements))
  }
}
