internal import OrderedCollections

/// The words that the config rules of a family are written in.
protocol ConfigRuleGroup {
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

/// A key that both sides have, under the same name or another. Without a second name both sides use the first.
struct Key: ConfigRuleGroup {
  let configRules: [ConfigRule]

  private init(
    _ left: String, _ right: String?, _ type: ConfigType, _ forward: ConfigRule.Mapping?,
    _ backward: ConfigRule.Mapping?, _ file: String, _ line: Int
  ) {
    let action = ConfigRule.Action.key(
      left: left, right: right ?? left, type, forward: forward, backward: backward)
    configRules = [ConfigRule(action, origin: Origin(file, line))]
  }

  /// The value is copied, whatever it is.
  init(_ left: String, _ right: String? = nil, file: String = #fileID, line: Int = #line) {
    self.init(left, right, .any, nil, nil, file, line)
  }

  /// A size of the model, copied.
  init(dimension left: String, _ right: String? = nil, file: String = #fileID, line: Int = #line) {
    self.init(left, right, .dimension, nil, nil, file, line)
  }

  /// An integer, copied.
  init(integer left: String, _ right: String? = nil, file: String = #fileID, line: Int = #line) {
    self.init(left, right, .integer, nil, nil, file, line)
  }

  /// A number, copied.
  init(number left: String, _ right: String? = nil, file: String = #fileID, line: Int = #line) {
    self.init(left, right, .number, nil, nil, file, line)
  }

  /// A boolean, copied.
  init(flag left: String, _ right: String? = nil, file: String = #fileID, line: Int = #line) {
    self.init(left, right, .flag, nil, nil, file, line)
  }

  /// A text, copied.
  init(text left: String, _ right: String? = nil, file: String = #fileID, line: Int = #line) {
    self.init(left, right, .text, nil, nil, file, line)
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
    self.init(left, right, .any, forward, backward, file, line)
  }

  /// Values correspond as two functions say; a function that is nil copies, one that yields nil leaves the key out.
  init(
    _ left: String, _ right: String, _ type: ConfigType = .any, forward: ConfigRule.Mapping? = nil,
    backward: ConfigRule.Mapping? = nil, file: String = #fileID, line: Int = #line
  ) {
    self.init(left, right, type, forward, backward, file, line)
  }
}

/// Several keys of one side that stand for several of the other.
///
///     Keys(["num_key_value_heads"], ["attention_module", "extra_attention_params.num_kv_groups"]) { hf in ... }
///       backward: { cs in ... }
///
/// The functions get the whole config of the source and answer with what they write, by path.
struct Keys: ConfigRuleGroup {
  let configRules: [ConfigRule]

  /// A translation in both directions. It runs for every config, also when none of the keys is there.
  init(
    _ left: [String], _ right: [String], file: String = #fileID, line: Int = #line,
    forward: @escaping ConfigRule.Translation, backward: @escaping ConfigRule.Translation
  ) {
    configRules = [
      ConfigRule(
        .keys(left: left, right: right, forward: forward, backward: backward), origin: Origin(file, line))
    ]
  }
}

/// Config rules whose keys all live in a section on each side; an empty name is the model's own section. Functions of
/// these rules see the section only.
struct Section: ConfigRuleGroup {
  let configRules: [ConfigRule]

  /// Everything in `body` inside `left` on the left and inside `right` on the right.
  init(_ left: String, _ right: String, @ConfigRulesBuilder _ body: () -> [ConfigRule]) {
    configRules = body().map { $0.under(left: left, right: right) }
  }
}

/// Rules that exist for some configs only.
struct When: ConfigRuleGroup, RuleGroup {
  let configRules: [ConfigRule]
  let rules: [Rule]

  /// Tensor rules that exist while the condition on the two configs holds.
  init(_ condition: RuleCondition, @RulesBuilder _ body: () -> [Rule]) {
    configRules = []
    rules = body().map { rule in
      var rule = rule
      rule.condition = rule.condition.map { $0 && condition } ?? condition
      return rule
    }
  }

  /// Config rules that exist for sources of the left and of the right that meet a condition each.
  init(
    left: @escaping @Sendable (ConfigObject) -> Bool, right: @escaping @Sendable (ConfigObject) -> Bool,
    @ConfigRulesBuilder _ body: () -> [ConfigRule]
  ) {
    rules = []
    configRules = body().map { rule in
      var rule = rule
      let inner = rule.condition
      rule.condition = { (side, config) in
        (inner?(side, config) ?? true) && (side == .left ? left(config) : right(config))
      }
      return rule
    }
  }
}

/// A key that means another model, which the other side cannot express, while its value is not a harmless one.
struct RefuseKey: ConfigRuleGroup {
  let configRules: [ConfigRule]

  /// `key` of a source of `side` must hold one of `harmless` if it is there.
  init(
    _ side: Side, _ key: String, unless harmless: ConfigValue..., reason: String, file: String = #fileID,
    line: Int = #line
  ) {
    self.init(side, key, unless: harmless, reason: reason, file: file, line: line)
  }

  /// `key` of a source of `side` must hold one of a list if it is there.
  init(
    _ side: Side, _ key: String, unless harmless: [ConfigValue], reason: String, file: String = #fileID,
    line: Int = #line
  ) {
    configRules = [ConfigRule(.refuse(side, key, unless: harmless, reason: reason), origin: Origin(file, line))]
  }
}

/// A key that only one side has, and whose value must be one that the other side implies.
struct Require: ConfigRuleGroup {
  let configRules: [ConfigRule]

  /// If `key` stands in a config of `side`, its value is one of `allowed`.
  init(
    _ side: Side, _ key: String, _ allowed: ConfigValue..., file: String = #fileID, line: Int = #line
  ) {
    self.init(side, key, allowed, file: file, line: line)
  }

  /// If `key` stands in a config of `side`, its value is one of a list.
  init(_ side: Side, _ key: String, _ allowed: [ConfigValue], file: String = #fileID, line: Int = #line) {
    configRules = [ConfigRule(.require(side, key, allowed), origin: Origin(file, line))]
  }
}

/// A key that only one side has, and that has one value in every model of the other side.
struct Implied: ConfigRuleGroup {
  let configRules: [ConfigRule]

  /// A source of `side` has `value` under `key` if the key is there; a target gets it unless another rule wrote the key.
  init(_ side: Side, _ key: String, _ value: ConfigValue, file: String = #fileID, line: Int = #line) {
    configRules =
      Require(side, key, value, file: file, line: line).configRules
      + Fill(side, key, value, file: file, line: line).configRules
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

/// Keys of one side that say nothing about the model: names, tokens, how text is generated. They are left out, and named
/// together in one warning.
struct DescribesNothing: ConfigRuleGroup {
  let configRules: [ConfigRule]

  /// These keys of `side`.
  init(_ side: Side, _ keys: [String], file: String = #fileID, line: Int = #line) {
    configRules = keys.map { ConfigRule(.describesNothing(side, $0), origin: Origin(file, line)) }
  }
}

/// What a config of one side means when it leaves a key out.
struct Assume: ConfigRuleGroup {
  let configRules: [ConfigRule]

  /// A missing `key` of a source of `side` means `value`.
  init(_ side: Side, _ key: String, _ value: ConfigValue, file: String = #fileID, line: Int = #line) {
    self.init(side, key, file: file, line: line) { (_) throws(ConfigFailure) in value }
  }

  /// Missing keys of a source of `side` mean these values.
  init(
    _ side: Side, _ values: KeyValuePairs<String, ConfigValue>, file: String = #fileID, line: Int = #line
  ) {
    configRules = values.flatMap { Assume(side, $0.key, $0.value, file: file, line: line).configRules }
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
    self.init(side, key, file: file, line: line) { (_: ConfigObject) throws(ConfigFailure) in value }
  }

  /// A target of `side` gets these values unless other rules wrote the keys.
  init(
    _ side: Side, _ values: KeyValuePairs<String, ConfigValue>, file: String = #fileID, line: Int = #line
  ) {
    configRules = values.flatMap { Fill(side, $0.key, $0.value, file: file, line: line).configRules }
  }

  /// A target of `side` gets what is derived from its other keys, unless another rule wrote it.
  init(
    _ side: Side, _ key: String, file: String = #fileID, line: Int = #line, _ derive: @escaping ConfigRule.Derivation
  ) {
    let complete: ConfigRule.Completion = { (_, target) throws(ConfigFailure) in try derive(target) }
    configRules = [ConfigRule(.fill(side, key, overwrites: false, complete), origin: Origin(file, line))]
  }

  /// A target of `side` gets what is derived from source and target, unless another rule wrote it.
  init(
    _ side: Side, _ key: String, file: String = #fileID, line: Int = #line,
    fromBoth complete: @escaping ConfigRule.Completion
  ) {
    configRules = [ConfigRule(.fill(side, key, overwrites: false, complete), origin: Origin(file, line))]
  }
}

/// A key of the target that is decided last, whatever other rules wrote.
struct Override: ConfigRuleGroup {
  let configRules: [ConfigRule]

  /// A target of `side` gets what is derived from source and target; nil leaves it as it is.
  init(
    _ side: Side, _ key: String, file: String = #fileID, line: Int = #line,
    _ complete: @escaping ConfigRule.Completion
  ) {
    configRules = [ConfigRule(.fill(side, key, overwrites: true, complete), origin: Origin(file, line))]
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

extension ConfigRule {
  /// The same rule for configs that are a section each; its functions see the section.
  func under(left: String, right: String) -> ConfigRule {
    @Sendable func prefix(_ side: Side) -> String { side == .left ? left : right }
    func moved(_ key: String, _ side: Side) -> String { prefix(side).isEmpty ? key : "\(prefix(side)).\(key)" }
    func mapped(_ mapping: Mapping?, from side: Side) -> Mapping? {
      guard let mapping else { return nil }
      let path = prefix(side)
      return { (value, config) throws(ConfigFailure) in
        do throws(ConfigFailure) { return try mapping(value, config.section(at: path)) } catch {
          throw error.under(path)
        }
      }
    }
    func translated(_ translation: @escaping Translation, from side: Side) -> Translation {
      let (path, target) = (prefix(side), prefix(side.other))
      return { (config) throws(ConfigFailure) in
        do throws(ConfigFailure) {
          let written = try translation(config.section(at: path))
          return target.isEmpty
            ? written : ConfigObject(uniqueKeysWithValues: written.map { ("\(target).\($0.key)", $0.value) })
        } catch { throw error.under(path) }
      }
    }
    var rule = self
    switch action {
    case .key(let leftKey, let rightKey, let type, let forward, let backward):
      rule.action = .key(
        left: moved(leftKey, .left), right: moved(rightKey, .right), type, forward: mapped(forward, from: .left),
        backward: mapped(backward, from: .right))
    case .keys(let leftKeys, let rightKeys, let forward, let backward):
      rule.action = .keys(
        left: leftKeys.map { moved($0, .left) }, right: rightKeys.map { moved($0, .right) },
        forward: translated(forward, from: .left), backward: translated(backward, from: .right))
    case .require(let side, let key, let allowed): rule.action = .require(side, moved(key, side), allowed)
    case .ignore(let side, let key): rule.action = .ignore(side, moved(key, side))
    case .describesNothing(let side, let key): rule.action = .describesNothing(side, moved(key, side))
    case .refuse(let side, let key, let harmless, let reason):
      rule.action = .refuse(side, moved(key, side), unless: harmless, reason: reason)
    case .assume(let side, let key, let orNull, let derive):
      let path = prefix(side)
      rule.action = .assume(side, moved(key, side), orNull: orNull) { (config) throws(ConfigFailure) in
        do throws(ConfigFailure) { return try derive(config.section(at: path)) } catch { throw error.under(path) }
      }
    case .fill(let side, let key, let overwrites, let complete):
      let (target, source) = (prefix(side), prefix(side.other))
      rule.action = .fill(side, moved(key, side), overwrites: overwrites) { (from, to) throws(ConfigFailure) in
        do throws(ConfigFailure) {
          return try complete(from.section(at: source), to.section(at: target))
        } catch { throw error.under(target) }
      }
    case .caution(let side, let key, let sentence):
      let path = prefix(side)
      rule.action = .caution(side, moved(key, side)) { sentence($0.section(at: path)) }
    case .check(let side, let condition):
      let path = prefix(side)
      rule.action = .check(side) { (config) throws(ConfigFailure) in
        do throws(ConfigFailure) { try condition(config.section(at: path)) } catch { throw error.under(path) }
      }
    }
    if let condition {
      rule.condition = { (side, config) in condition(side, config.section(at: prefix(side))) }
    }
    return rule
  }
}

extension ConfigFailure {
  /// The same failure about a key inside a section.
  func under(_ path: String) -> ConfigFailure {
    path.isEmpty ? self : ConfigFailure("\(path).\(key)", message)
  }
}

extension [ConfigRule] {
  /// The rules but for those about some keys, of either side: what one model takes over from another.
  func except(_ keys: String...) -> [ConfigRule] {
    filter { rule in Set(rule.mentionedKeys).isDisjoint(with: keys) }
  }
}

extension ConfigRule {
  /// The keys that the rule is about, of both sides.
  fileprivate var mentionedKeys: [String] {
    switch action {
    case .key(let left, let right, _, _, _): [left, right]
    case .keys(let left, let right, _, _): left + right
    case .require(_, let key, _), .ignore(_, let key), .describesNothing(_, let key), .refuse(_, let key, _, _),
      .assume(_, let key, _, _), .fill(_, let key, _, _), .caution(_, let key, _):
      [key]
    case .check: []
    }
  }
}
