/// The words that the config rules of a family are written in.
protocol ConfigRuleGroup {
  /// The rules.
  var configRules: [ConfigRule] { get }
}

/// Collects the config rules of a block.
@resultBuilder enum ConfigRulesBuilder {
  static func buildExpression(_ group: some ConfigRuleGroup) -> [ConfigRule] { group.configRules }
  static func buildExpression(_ rules: [ConfigRule]) -> [ConfigRule] { rules }
  static func buildBlock(_ parts: [ConfigRule]...) -> [ConfigRule] { parts.flatMap(\.self) }
  static func buildOptional(_ rules: [ConfigRule]?) -> [ConfigRule] { rules ?? [] }
  static func buildEither(first rules: [ConfigRule]) -> [ConfigRule] { rules }
  static func buildEither(second rules: [ConfigRule]) -> [ConfigRule] { rules }
  static func buildArray(_ parts: [[ConfigRule]]) -> [ConfigRule] { parts.flatMap(\.self) }
}

/// A key that both sides have, under the same name or another.
struct Key: ConfigRuleGroup {
  let configRules: [ConfigRule]

  /// The value is copied.
  init(_ left: String, _ right: String? = nil, file: String = #fileID, line: Int = #line) {
    configRules = [
      ConfigRule(
        .key(left: left, right: right ?? left, forward: nil, backward: nil), origin: Origin(file, line))
    ]
  }

  /// The value is copied; a number must be a positive integer below 2^31, so that nothing is sized by nonsense.
  init(dimension left: String, _ right: String? = nil, file: String = #fileID, line: Int = #line) {
    let right = right ?? left
    func checked(_ key: String) -> ConfigRule.Mapping {
      { (value: ConfigValue, _: ConfigObject) throws(ConfigFailure) -> ConfigValue? in
        guard value.isUsableDimension else {
          throw ConfigFailure(
            key,
            "'\(key)' is \(value.pythonDescription); a dimension must be an integer from 1 to "
              + "\(ConfigRule.largestDimension).")
        }
        return value
      }
    }
    configRules = [
      ConfigRule(
        .key(left: left, right: right, forward: checked(left), backward: checked(right)), origin: Origin(file, line))
    ]
  }

  /// Values correspond as the pairs say; the first pair that fits is taken, any other value cannot be converted.
  init(
    _ left: String, _ right: String, values: KeyValuePairs<ConfigValue, ConfigValue>, file: String = #fileID,
    line: Int = #line
  ) {
    let pairs = values.map { (left: $0.key, right: $0.value) }
    let forward: ConfigRule.Mapping = { (value, _) throws(ConfigFailure) in
      guard let pair = pairs.first(where: { $0.left.isEqualInPython(value) }) else {
        throw .unsupported(left, value, supported: pairs.map(\.left))
      }
      return pair.right
    }
    let backward: ConfigRule.Mapping = { (value, _) throws(ConfigFailure) in
      guard let pair = pairs.first(where: { $0.right.isEqualInPython(value) }) else {
        throw .unsupported(right, value, supported: pairs.map(\.right))
      }
      return pair.left
    }
    configRules = [
      ConfigRule(.key(left: left, right: right, forward: forward, backward: backward), origin: Origin(file, line))
    ]
  }

  /// Values correspond as two functions say; a function that is nil copies, one that yields nil leaves the key out.
  init(
    _ left: String, _ right: String, forward: ConfigRule.Mapping? = nil, backward: ConfigRule.Mapping? = nil,
    file: String = #fileID, line: Int = #line
  ) {
    configRules = [
      ConfigRule(.key(left: left, right: right, forward: forward, backward: backward), origin: Origin(file, line))
    ]
  }
}

/// A key that only one side has, and whose value must be one that the other side implies.
struct Require: ConfigRuleGroup {
  let configRules: [ConfigRule]

  /// If `key` stands in a config of `side`, its value is one of `allowed`.
  init(
    _ side: Side, _ key: String, _ allowed: ConfigValue..., file: String = #fileID, line: Int = #line
  ) {
    configRules = [ConfigRule(.require(side, key, allowed), origin: Origin(file, line))]
  }
}

/// Keys of one side that carry nothing for the other, left out without a warning.
struct Ignore: ConfigRuleGroup {
  let configRules: [ConfigRule]

  /// These keys of `side`.
  init(_ side: Side, _ keys: String..., file: String = #fileID, line: Int = #line) {
    configRules = keys.map { ConfigRule(.ignore(side, $0), origin: Origin(file, line)) }
  }
}

/// What a config of one side means when it leaves a key out.
struct Assume: ConfigRuleGroup {
  let configRules: [ConfigRule]

  /// A missing `key` of a source of `side` means `value`.
  init(_ side: Side, _ key: String, _ value: ConfigValue, file: String = #fileID, line: Int = #line) {
    self.init(side, key, file: file, line: line) { (_) throws(ConfigFailure) in value }
  }

  /// A missing (or, with `orNull`, null) `key` of a source of `side` means what is derived from its other keys.
  init(
    _ side: Side, _ key: String, orNull: Bool = false, file: String = #fileID, line: Int = #line,
    _ derive: @escaping ConfigRule.Derivation
  ) {
    configRules = [ConfigRule(.assume(side, key, orNull: orNull, derive), origin: Origin(file, line))]
  }
}

/// A key that one side demands and the other does not know.
struct Fill: ConfigRuleGroup {
  let configRules: [ConfigRule]

  /// A target of `side` gets `value` under `key` unless another rule wrote it.
  init(_ side: Side, _ key: String, _ value: ConfigValue, file: String = #fileID, line: Int = #line) {
    configRules = [
      ConfigRule(.fill(side, key, { (_) throws(ConfigFailure) in value }), origin: Origin(file, line))
    ]
  }

  /// A target of `side` gets what is derived from its other keys, unless another rule wrote it.
  init(
    _ side: Side, _ key: String, file: String = #fileID, line: Int = #line, _ derive: @escaping ConfigRule.Derivation
  ) {
    configRules = [ConfigRule(.fill(side, key, derive), origin: Origin(file, line))]
  }
}

/// Something that a conversion cannot carry over exactly, and that does not stop it.
struct Caution: ConfigRuleGroup {
  let configRules: [ConfigRule]

  /// What `sentence` says of a source of `side` becomes a warning about `key`.
  init(
    _ side: Side, _ key: String, file: String = #fileID, line: Int = #line,
    _ sentence: @escaping @Sendable (ConfigObject) -> String?
  ) {
    configRules = [ConfigRule(.caution(side, key, sentence), origin: Origin(file, line))]
  }
}

/// A condition that a whole config of one side must meet before it can be converted.
struct Check: ConfigRuleGroup {
  let configRules: [ConfigRule]

  /// `condition` throws for a source of `side` that cannot be converted.
  init(
    _ side: Side, file: String = #fileID, line: Int = #line,
    _ condition: @escaping @Sendable (ConfigObject) throws(ConfigFailure) -> Void
  ) {
    configRules = [ConfigRule(.check(side, condition), origin: Origin(file, line))]
  }
}
