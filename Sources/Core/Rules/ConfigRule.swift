public import OrderedCollections

/// What connects the keys of one model config with those of the other. A plain value, like `Rule`.
public struct ConfigRule: Sendable {
  /// A value under one key, given the config of the same side with defaults filled in; nil leaves the key out.
  public typealias Derivation = @Sendable (ConfigObject) throws(ConfigFailure) -> ConfigValue?
  /// A value of one side turned into the value of the other.
  public typealias Mapping = @Sendable (ConfigValue, ConfigObject) throws(ConfigFailure) -> ConfigValue?

  /// What a rule does.
  public enum Action: Sendable {
    /// `left` of the left config is `right` of the right config.
    case key(left: String, right: String, forward: Mapping?, backward: Mapping?)
    /// A key of one side that the other side has no counterpart for; its value must be one of these. The key must not
    /// stand in a config of the other side.
    case require(Side, String, [ConfigValue])
    /// A key of one side that says nothing the other side needs; left out without a warning.
    case ignore(Side, String)
    /// Before anything else: the value of a key that the source leaves out (or, with `orNull`, leaves null).
    case assume(Side, String, orNull: Bool, Derivation)
    /// After everything else: the value of a key of the target that no rule wrote.
    case fill(Side, String, Derivation)
    /// A sentence that the user should read, about a key of a source of one side; nil when there is nothing to say.
    case caution(Side, String, @Sendable (ConfigObject) -> String?)
    /// A condition on a whole config of one side.
    case check(Side, @Sendable (ConfigObject) throws(ConfigFailure) -> Void)
  }

  /// What the rule does.
  public let action: Action
  /// Where it was written.
  public let origin: Origin

  /// A rule.
  public init(_ action: Action, origin: Origin) {
    self.action = action
    self.origin = origin
  }

  /// The largest number that is believed as a dimension of a model: 2^31 - 1.
  public static let largestDimension = 2_147_483_647
}

/// Why a config has no counterpart in the other layout.
public struct ConfigFailure: Error, Sendable {
  /// The key at fault.
  public let key: String
  /// A sentence that names key, value and what is supported.
  public let message: String

  /// A failure with its own sentence.
  public init(_ key: String, _ message: String) {
    self.key = key
    self.message = message
  }

  /// A value that the other layout cannot express.
  public static func unsupported(_ key: String, _ value: ConfigValue, supported: [ConfigValue]) -> ConfigFailure {
    let choices = supported.map(\.pythonDescription)
    let list =
      choices.count > 1
      ? "\(choices.dropLast().joined(separator: ", ")) and \(choices.last ?? "")" : choices.first ?? "nothing"
    return ConfigFailure(
      key, "Can't convert config with \(key)=\(value.pythonDescription). Only \(list) is supported.")
  }
}

extension ConfigObject {
  /// The value under a key. Throws when there is none.
  public func required(_ key: String) throws(ConfigFailure) -> ConfigValue {
    guard let value = self[key] else { throw ConfigFailure(key, "The config lacks '\(key)', which is needed.") }
    return value
  }

  /// The integer under a key. Throws when there is none, or something else.
  public func requiredInt(_ key: String) throws(ConfigFailure) -> Int {
    let value = try required(key)
    guard case .number(let number) = value, let int = number.int else {
      throw ConfigFailure(key, "'\(key)' must be an integer, not \(value.pythonDescription).")
    }
    return int
  }
}

extension ConfigValue {
  /// True when a number under a dimension key can be one: a positive integer below 2^31. Anything but a number passes,
  /// because the type of a value is not for a conversion to judge.
  var isUsableDimension: Bool {
    guard case .number(let number) = self else { return true }
    guard let int = number.int else { return false }
    return int > 0 && int <= ConfigRule.largestDimension
  }
}
