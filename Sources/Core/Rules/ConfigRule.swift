import OrderedCollections

/// What connects the keys of one model config with those of the other. A plain value, like `Rule`.
///
/// A key may be a path into nested sections: `extra_attention_params.num_kv_groups`.
struct ConfigRule: Sendable {
  /// A value under one key, given the config of the same side with defaults filled in; nil leaves the key out.
  typealias Derivation = @Sendable (ConfigObject) throws(ConfigFailure) -> ConfigValue?
  /// A value of one side turned into the value of the other, given the whole config of the source.
  typealias Mapping = @Sendable (ConfigValue, ConfigObject) throws(ConfigFailure) -> ConfigValue?
  /// Values of several keys of one side turned into values of the other, by path; given the config of the source with
  /// defaults filled in. Keys that are left out are not written.
  typealias Translation = @Sendable (ConfigObject) throws(ConfigFailure) -> ConfigObject
  /// A value of the target, given source and target; nil leaves the key as it is.
  typealias Completion =
    @Sendable (_ source: ConfigObject, _ target: ConfigObject) throws(ConfigFailure) -> ConfigValue?

  /// What a rule does.
  enum Action: Sendable {
    /// `left` of the left config is `right` of the right config.
    case key(left: String, right: String, ConfigType, forward: Mapping?, backward: Mapping?)
    /// Several keys of one side stand for several of the other.
    case keys(left: [String], right: [String], forward: Translation, backward: Translation)
    /// A key of one side that the other side has no counterpart for; its value must be one of these. The key must not
    /// stand in a config of the other side.
    case require(Side, String, [ConfigValue])
    /// A key of one side that says nothing the other side needs; left out without a warning.
    case ignore(Side, String)
    /// A key of one side that says nothing about the model. Left out; the keys of this kind share one line.
    case describesNothing(Side, String)
    /// A key of one side that stands for another model while its value is not one of these. Unlike a required key it
    /// may stand on both sides; it is left out without a warning.
    case refuse(Side, String, unless: [ConfigValue], reason: String)
    /// Before anything else: the value of a key that the source leaves out (or, with `orNull`, leaves null).
    case assume(Side, String, orNull: Bool, Derivation)
    /// After everything else: the value of a key of the target that no rule wrote, or with `overwrites`, whatever one
    /// wrote.
    case fill(Side, String, overwrites: Bool, Completion)
    /// A sentence that the user should read, about a key of a source of one side; nil when there is nothing to say.
    case caution(Side, String, @Sendable (ConfigObject) -> String?)
    /// A condition on a whole config of one side.
    case check(Side, @Sendable (ConfigObject) throws(ConfigFailure) -> Void)
  }

  /// What the rule does.
  var action: Action
  /// When the rule exists at all, by side and config of the source; nil is always.
  var condition: (@Sendable (Side, ConfigObject) -> Bool)?
  /// Where it was written.
  let origin: Origin

  init(_ action: Action, origin: Origin) {
    self.action = action
    self.origin = origin
  }

  /// The largest number that is believed as a dimension of a model: 2^31 - 1.
  static let largestDimension = 2_147_483_647
}

/// Why a config has no counterpart in the other layout.
struct ConfigFailure: Error, Sendable {
  /// The key at fault.
  let key: String
  /// A sentence that names key, value and what is supported.
  let message: String

  /// A failure with its own sentence.
  init(_ key: String, _ message: String) {
    self.key = key
    self.message = message
  }

  /// A value that the other layout cannot express.
  static func unsupported(_ key: String, _ value: ConfigValue, supported: [ConfigValue]) -> ConfigFailure {
    let choices = supported.map(\.pythonDescription)
    let list =
      choices.count > 1
      ? "\(choices.dropLast().joined(separator: ", ")) and \(choices.last ?? "")" : choices.first ?? "nothing"
    return ConfigFailure(
      key, "Can't convert config with \(key)=\(value.pythonDescription). Only \(list) is supported.")
  }
}

extension ConfigRule {
  /// The keys of a source of `side` that this rule takes care of.
  func claimedKeys(on side: Side) -> [String] {
    switch action {
    case .key(let left, let right, _, _, _): [side == .left ? left : right]
    case .keys(let left, let right, _, _): side == .left ? left : right
    case .require(side, let key, _), .ignore(side, let key), .describesNothing(side, let key),
      .refuse(side, let key, _, _):
      [key]
    default: []
    }
  }

  /// The key that must not stand in a source of `side`, because only the other side has it.
  func foreignKey(on side: Side) -> String? {
    if case .require(side.other, let key, _) = action { key } else { nil }
  }
}

extension ConversionError {
  /// The error for a config with keys at fault: one line for each.
  static func configRefused(_ failures: [Diagnostic], warnings: [Diagnostic] = []) -> ConversionError {
    let message = failures.map(\.message).joined(separator: "\n")
    return ConversionError(
      .configNotConvertible, "ConfigConversionError: \(message)", diagnostics: warnings + failures)
  }
}

extension ConfigObject {
  /// The value under a key; nil when there is none, and when it is null.
  ///
  /// `nil` where a `ConfigValue` is expected means a null of the document, so `value == .null ? nil : value` keeps a null.
  func stated(_ key: String) -> ConfigValue? {
    switch self[key] {
    case nil, .null?: .none
    case let value?: value
    }
  }

  /// The value under a key. Throws when there is none.
  func required(_ key: String) throws(ConfigFailure) -> ConfigValue {
    guard let value = self[key] else { throw ConfigFailure(key, "The config lacks '\(key)', which is needed.") }
    return value
  }

  /// The integer under a key. Throws when there is none, or something else.
  func requiredInt(_ key: String) throws(ConfigFailure) -> Int {
    let value = try required(key)
    guard case .number(let number) = value, let int = number.int else {
      throw ConfigFailure(key, "'\(key)' must be an integer, not \(value.pythonDescription).")
    }
    return int
  }
}
