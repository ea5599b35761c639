/// A length that a rule needs, made of numbers and of values of the model configs.
///
/// `.cs("hidden_size") / .cs("num_heads")` is the size of a head. Computed with checked arithmetic by
/// `RuleContext.length`.
indirect enum Dimension: Sendable, Hashable {
  /// A constant.
  case fixed(Int)
  /// An integer of the model config of a side; the key may be a path such as `extra_attention_params.num_kv_groups`.
  case config(Side, String)
  /// The same, with what a missing or null key stands for.
  case optional(Side, String, otherwise: Dimension)
  case product(Dimension, Dimension)
  /// A quotient, which must be exact.
  case quotient(Dimension, Dimension)
  case sum(Dimension, Dimension)
  /// Whatever a function of the configs yields.
  case derived(Derived)
  /// One of two, by a condition.
  case choice(RuleCondition, Dimension, Dimension)

  /// A named function of the configs. Two are equal when their names are.
  struct Derived: Sendable, Hashable {
    /// What it is called in messages and documents.
    let name: String
    let length: @Sendable (RuleContext) throws(RuleFailure) -> Int

    static func == (left: Derived, right: Derived) -> Bool { left.name == right.name }
    /// Hashes what `==` compares.
    func hash(into hasher: inout Hasher) { hasher.combine(name) }
  }

  /// An integer of the Model Zoo config.
  static func cs(_ key: String) -> Dimension { .config(.cs, key) }
  /// An integer of the Hugging Face config.
  static func hf(_ key: String) -> Dimension { .config(.hf, key) }
  /// An integer of the Model Zoo config, with what a missing or null one stands for.
  static func cs(_ key: String, or otherwise: Dimension) -> Dimension {
    .optional(.cs, key, otherwise: otherwise)
  }
  /// An integer of the Hugging Face config, with what a missing or null one stands for.
  static func hf(_ key: String, or otherwise: Dimension) -> Dimension {
    .optional(.hf, key, otherwise: otherwise)
  }
  /// What a function of the configs yields.
  static func derived(
    _ name: String, _ length: @escaping @Sendable (RuleContext) throws(RuleFailure) -> Int
  ) -> Dimension { .derived(Derived(name: name, length: length)) }

  static func * (left: Dimension, right: Dimension) -> Dimension { .product(left, right) }
  /// A quotient, which must be exact.
  static func / (left: Dimension, right: Dimension) -> Dimension { .quotient(left, right) }
  static func + (left: Dimension, right: Dimension) -> Dimension { .sum(left, right) }

  /// The config keys that the length depends on, for messages.
  var keys: [String] {
    switch self {
    case .fixed: []
    case .config(_, let key): [key]
    case .optional(_, let key, let otherwise): [key] + otherwise.keys
    case .product(let left, let right), .quotient(let left, let right), .sum(let left, let right):
      left.keys + right.keys
    case .derived(let derived): [derived.name]
    case .choice(let condition, let left, let right): [condition.name] + left.keys + right.keys
    }
  }
}

extension Dimension: ExpressibleByIntegerLiteral {
  /// A constant.
  init(integerLiteral value: Int) { self = .fixed(value) }
}

/// The shape of the tensors of a rule in named axes, and which of them a complete checkpoint has.
///
/// Axes are those of the right side; the planner derives the left side's from the transform. A key that ends in `bias`
/// has the first axis only.
struct DeclaredShape: Sendable, Hashable {
  /// Which keys of a rule a complete checkpoint has.
  enum Presence: Sendable, Hashable {
    /// All of them.
    case always
    /// Any or none.
    case optional
    /// All of them while the condition holds, else none.
    case when(RuleCondition)
    /// On one side all keys of a group of rules or none of them; on the other side all.
    case allOrNone(on: Side, group: String)
  }

  /// The axes of each key of the right side; one list serves for all keys.
  var axes: [[Dimension]]
  /// How many numbers each hole of the keys takes, by name.
  var counts: [String: Dimension] = [:]
  /// Whether the keys have to be there.
  var presence: Presence
  /// Whether those of them that end in `bias` have to be there.
  var bias: Presence
}

/// A condition on the configs that a rule depends on. Two are equal when their names are.
indirect enum RuleCondition: Sendable, Hashable {
  /// True while the config of a side has a value under a path that Python counts as true, or the last where it has none.
  case truthy(Side, String, otherwise: Bool)
  /// True while the config of a side has this value under a path, by Python's equality.
  case equal(Side, String, ConfigValue)
  case not(RuleCondition)
  case both(RuleCondition, RuleCondition)
  case either(RuleCondition, RuleCondition)
  /// What no other case can say, with its name.
  case custom(String, @Sendable (RuleContext) -> Bool)

  init(_ name: String, _ test: @escaping @Sendable (RuleContext) -> Bool) { self = .custom(name, test) }

  /// True while the config of `side` has a value under `key` that Python counts as true; `otherwise` where it has none.
  static func flag(_ side: Side, _ key: String, otherwise: Bool = false) -> RuleCondition {
    .truthy(side, key, otherwise: otherwise)
  }

  /// True while the config of `side` has this value under `key`, by Python's equality.
  static func equals(_ side: Side, _ key: String, _ value: ConfigValue) -> RuleCondition {
    .equal(side, key, value)
  }

  static prefix func ! (condition: RuleCondition) -> RuleCondition { .not(condition) }

  static func && (left: RuleCondition, right: RuleCondition) -> RuleCondition { .both(left, right) }

  static func || (left: RuleCondition, right: RuleCondition) -> RuleCondition { .either(left, right) }

  /// What it is called in plans and documents.
  var name: String {
    switch self {
    case .truthy(let side, let key, let otherwise): "\(key) of \(side.rawValue)\(otherwise ? " or missing" : "")"
    case .equal(let side, let key, let value): "\(key) of \(side.rawValue) is \(value.pythonDescription)"
    case .not(let condition): "not \(condition.name)"
    case .both(let left, let right): "\(left.name) and \(right.name)"
    case .either(let left, let right): "\(left.name) or \(right.name)"
    case .custom(let name, _): name
    }
  }

  /// The config keys that it asks for, for messages; for a condition of its own kind its name.
  var keys: [String] {
    switch self {
    case .truthy(_, let key, _), .equal(_, let key, _): [key]
    case .not(let condition): condition.keys
    case .both(let left, let right), .either(let left, let right): left.keys + right.keys
    case .custom(let name, _): [name]
    }
  }

  func test(_ context: RuleContext) -> Bool {
    switch self {
    case .truthy(let side, let key, let otherwise): context.config(side).value(at: key)?.isTruthyInPython ?? otherwise
    case .equal(let side, let key, let value): context.config(side).value(at: key)?.isEqualInPython(value) ?? false
    case .not(let condition): !condition.test(context)
    case .both(let left, let right): left.test(context) && right.test(context)
    case .either(let left, let right): left.test(context) || right.test(context)
    case .custom(_, let test): test(context)
    }
  }

  static func == (left: RuleCondition, right: RuleCondition) -> Bool { left.name == right.name }
  /// Hashes what `==` compares.
  func hash(into hasher: inout Hasher) { hasher.combine(name) }
}
