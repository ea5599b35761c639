import OrderedCollections

/// What kind of value stands under a config key.
///
/// The vendor's tool copies whatever it finds; a text where a number belongs then fails when the model is built, hours
/// later. So each key says what it holds, and what does not fit is refused with key and value.
enum ConfigType: Sendable, Hashable {
  /// Whatever: the rule's own function judges it.
  case any
  /// A size of the model: an integer from 1 to 2^31 - 1.
  case dimension
  case integer
  /// A finite number, or null.
  case number
  /// A boolean; 0 and 1 count.
  case flag
  /// One of these texts.
  case named([String])
  /// A text, or null.
  case text

  /// The value as the type has it: a text that YAML 1.1 makes of `1e-5` becomes the number it spells.
  ///
  /// Answers with a warning when the value was changed. Throws when it is no value of the type.
  func checked(_ value: ConfigValue, key: String) throws(ConfigFailure) -> (value: ConfigValue, warning: String?) {
    switch self {
    case .any: return (value, nil)
    case .dimension:
      if case .number(let number) = value, let int = number.int, int > 0, int <= ConfigRule.largestDimension {
        return (value, nil)
      }
      throw ConfigFailure(
        key,
        "'\(key)' is \(value.shownWithType); a dimension must be an integer from 1 to \(ConfigRule.largestDimension).")
    case .integer:
      if value == .null { return (value, nil) }
      if case .number(let number) = value, number.int != nil { return (value, nil) }
      throw ConfigFailure(key, "'\(key)' is \(value.shownWithType); it must be an integer.")
    case .number:
      switch value {
      case .null: return (value, nil)
      case .number(let number) where number.double.isFinite: return (value, nil)
      case .string(let text):
        guard let number = Double(text), number.isFinite else { break }
        let warning =
          "'\(key)' is the text '\(text)': YAML 1.1 reads a number as text when it has an exponent but no point. It is "
          + "taken as the number \(ConfigValue.double(number).pythonDescription)."
        return (.double(number), warning)
      default: break
      }
      throw ConfigFailure(key, "'\(key)' is \(value.shownWithType); it must be a finite number.")
    case .flag:
      switch value {
      case .bool, .null: return (value, nil)
      case .number(let number) where number.int == 0 || number.int == 1: return (value, nil)
      default: throw ConfigFailure(key, "'\(key)' is \(value.shownWithType); it must be true or false.")
      }
    case .named(let names):
      if case .string(let text) = value, names.contains(text) { return (value, nil) }
      throw .unsupported(key, value, supported: names.map(ConfigValue.string))
    case .text:
      switch value {
      case .string, .null: return (value, nil)
      default: throw ConfigFailure(key, "'\(key)' is \(value.shownWithType); it must be a text.")
      }
    }
  }
}

extension ConfigValue {
  /// The value as Python prints it, with texts quoted and kinds that look like others named.
  fileprivate var shownWithType: String {
    switch self {
    case .string(let text): "the text '\(text)'"
    case .bool: "the boolean \(pythonDescription)"
    case .null: "null"
    case .array: "a list"
    case .object: "a section"
    default: pythonDescription
    }
  }
}
