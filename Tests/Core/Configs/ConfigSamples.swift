import OrderedCollections

@testable import Core

/// Seeded values made of the scalars that YAML writers get wrong.
enum ConfigSamples {
  private static let pieces = [
    "a", "b c", ":", " ", "#", "-", "?", "'", "\"", "\\", "\n", "\t", "é", "😀", "\u{85}", "\u{2028}", "\u{A0}", "0",
    "1",
    "e", ".", "_", "x", "yes", "null", "~", "<<", "=", "[", "]", "{", "}", ",", "&", "*", "!", "|", ">", "%", "@", "`",
    "---", "...", "\r", "\u{0}", "\u{7F}", "\u{FEFF}", "2024-01-02", "1:2", ".inf", "+", "\u{E000}", "0x", "0b",
  ]

  static func string(_ random: inout SplitMix) -> String {
    (0..<Int.random(in: 0...5, using: &random)).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
  }

  static func value(depth: Int, _ random: inout SplitMix) -> ConfigValue {
    switch Int.random(in: 0..<(depth > 0 ? 10 : 7), using: &random) {
    case 0: return nil
    case 1: return .bool(.random(using: &random))
    case 2: return .int(Int.random(in: -1000...1000, using: &random))
    case 3:
      let double = Double(bitPattern: random.next())
      return .double(double.isNaN ? 0.5 : double)
    case 4...6: return .string(string(&random))
    case 7: return .array((0..<3).map { _ in value(depth: depth - 1, &random) })
    default:
      var object = ConfigObject()
      for _ in 0..<4 { object[string(&random)] = value(depth: depth - 1, &random) }
      return .object(object)
    }
  }

  /// The object with keys removed, renamed, added and replaced at random.
  static func changed(_ object: ConfigObject, depth: Int, _ random: inout SplitMix) -> ConfigObject {
    var result = ConfigObject()
    for (key, value) in object {
      switch Int.random(in: 0..<6, using: &random) {
      case 0: break
      case 1: result[ConfigSamples.string(&random)] = value
      case 2: result[key] = ConfigSamples.value(depth: 1, &random)
      case 3: result[ConfigSamples.string(&random)] = ConfigSamples.value(depth: 2, &random); result[key] = value
      default:
        if case .object(let inner) = value, depth > 0 {
          result[key] = .object(changed(inner, depth: depth - 1, &random))
        } else {
          result[key] = value
        }
      }
    }
    return result
  }

  /// The value with the keys of every mapping in one order.
  static func sorted(_ value: ConfigValue) -> ConfigValue {
    switch value {
    case .array(let values): return .array(values.map(sorted))
    case .object(let object):
      let pairs = object.map { ($0, sorted($1)) }.sorted { $0.0 < $1.0 }
      return .object(ConfigObject(uniqueKeysWithValues: pairs))
    default: return value
    }
  }
}
