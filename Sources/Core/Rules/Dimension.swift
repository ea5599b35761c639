/// A length that a rule needs, made of numbers and of values of the model configs.
///
/// `.cs("hidden_size") / .cs("num_heads")` is the size of a head. Computed with checked arithmetic by
/// `RuleContext.length`.
public indirect enum Dimension: Sendable, Hashable {
  /// A constant.
  case fixed(Int)
  /// An integer of the model config of a side; the key may be a path such as `extra_attention_params.num_kv_groups`.
  case config(Side, String)
  /// The same, with what a missing or null key stands for.
  case optional(Side, String, otherwise: Dimension)
  /// A product.
  case product(Dimension, Dimension)
  /// A quotient, which must be exact.
  case quotient(Dimension, Dimension)
  /// A sum.
  case sum(Dimension, Dimension)
  /// Whatever a function of the configs yields.
  case derived(Derived)
  /// One of two, by a condition.
  case choice(RuleCondition, Dimension, Dimension)

  /// A named function of the configs. Two are equal when their names are.
  public struct Derived: Sendable, Hashable {
    /// What it is called in messages and documents.
    public let name: String
    let length: @Sendable (RuleContext) throws(RuleFailure) -> Int

    /// Compares names.
    public static func == (left: Derived, right: Derived) -> Bool { left.name == right.name }
    /// Hashes what `==` compares.
    public func hash(into hasher: inout Hasher) { hasher.combine(name) }
  }

  /// An integer of the Model Zoo config.
  public static func cs(_ key: String) -> Dimension { .config(.cs, key) }
  /// An integer of the Hugging Face config.
  public static func hf(_ key: String) -> Dimension { .config(.hf, key) }
  /// An integer of the Model Zoo config, with what a missing or null one stands for.
  public static func cs(_ key: String, or otherwise: Dimension) -> Dimension {
    .optional(.cs, key, otherwise: otherwise)
  }
  /// An integer of the Hugging Face config, with what a missing or null one stands for.
  public static func hf(_ key: String, or otherwise: Dimension) -> Dimension {
    .optional(.hf, key, otherwise: otherwise)
  }
  /// What a function of the configs yields.
  public static func derived(
    _ name: String, _ length: @escaping @Sendable (RuleContext) throws(RuleFailure) -> Int
  ) -> Dimension { .derived(Derived(name: name, length: length)) }

  /// A product.
  public static func * (left: Dimension, right: Dimension) -> Dimension { .product(left, right) }
  /// A quotient, which must be exact.
  public static func / (left: Dimension, right: Dimension) -> Dimension { .quotient(left, right) }
  /// A sum.
  public static func + (left: Dimension, right: Dimension) -> Dimension { .sum(left, right) }

  /// The config keys that the length depends on, for messages.
  public var keys: [String] {
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
  public init(integerLiteral value: Int) { self = .fixed(value) }
}

/// The shape of the tensors of a rule in named axes, and which of them a complete checkpoint has.
///
/// Axes are those of the right side; the planner derives the left side's from the transform. A key that ends in `bias`
/// has the first axis only.
public struct DeclaredShape: Sendable, Hashable {
  /// Which keys of a rule a complete checkpoint has.
  public enum Presence: Sendable, Hashable {
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
  public var axes: [[Dimension]]
  /// How many numbers each hole of the keys takes, by name.
  public var counts: [String: Dimension] = [:]
  /// Whether the keys have to be there.
  public var presence: Presence
  /// Whether those of them that end in `bias` have to be there.
  public var bias: Presence
}

/// A condition on the configs that a rule depends on. Two are equal when their names are.
public struct RuleCondition: Sendable, Hashable {
  /// What it is called in plans and documents.
  public let name: String
  let test: @Sendable (RuleContext) -> Bool

  /// The config keys that a condition of flags and values asks for, for messages.
  var keys: [String] {
    name.replacing(" or ", with: " and ").split(separator: " and ").compactMap { part in
      part.split(separator: " ").first { $0 != "not" }.map(String.init)
    }
  }

  /// A condition.
  public init(_ name: String, _ test: @escaping @Sendable (RuleContext) -> Bool) {
    self.name = name
    self.test = test
  }

  /// True while the config of `side` has a value under `key` that Python counts as true; `otherwise` where it has none.
  public static func flag(_ side: Side, _ key: String, otherwise: Bool = false) -> RuleCondition {
    RuleCondition("\(key) of \(side.rawValue)\(otherwise ? " or missing" : "")") { context in
      context.config(side).value(at: key)?.isTruthyInPython ?? otherwise
    }
  }

  /// True while the config of `side` has this value under `key`, by Python's equality.
  public static func equals(_ side: Side, _ key: String, _ value: ConfigValue) -> RuleCondition {
    RuleCondition("\(key) of \(side.rawValue) is \(value.pythonDescription)") { context in
      context.config(side).value(at: key)?.isEqualInPython(value) ?? false
    }
  }

  /// Not this one.
  public static prefix func ! (condition: RuleCondition) -> RuleCondition {
    RuleCondition("not \(condition.name)") { !condition.test($0) }
  }

  /// Both.
  public static func && (left: RuleCondition, right: RuleCondition) -> RuleCondition {
    RuleCondition("\(left.name) and \(right.name)") { left.test($0) && right.test($0) }
  }

  /// Any.
  public static func || (left: RuleCondition, right: RuleCondition) -> RuleCondition {
    RuleCondition("\(left.name) or \(right.name)") { left.test($0) || right.test($0) }
  }

  /// Compares names.
  public static func == (left: RuleCondition, right: RuleCondition) -> Bool { left.name == right.name }
  /// Hashes what `==` compares.
  public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}
