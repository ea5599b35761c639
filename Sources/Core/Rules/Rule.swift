public import OrderedCollections

/// One of the two layouts that a set of rules connects.
public enum Side: String, Sendable, Hashable, CaseIterable {
  /// Hugging Face, or the older of two releases.
  case left
  /// The Model Zoo, or the newer of two releases.
  case right

  /// The Hugging Face side of the rules that bridge to the Model Zoo.
  public static let hf = Side.left
  /// The Model Zoo side of the rules that bridge from Hugging Face.
  public static let cs = Side.right
  /// The older side of the rules of a revision.
  public static let older = Side.left
  /// The newer side of the rules of a revision.
  public static let newer = Side.right

  /// The other layout.
  public var other: Side { self == .left ? .right : .left }
}

/// What connects keys of one layout with keys of the other. A plain value: nothing downstream sees how it was written.
///
/// One rule serves both directions; the inverse of a transform is derived, never written a second time.
public struct Rule: Sendable {
  /// The keys that the rule claims on the left; empty when it only knows the right.
  public var left: [KeyPattern]
  /// The keys that the rule claims on the right.
  public var right: [KeyPattern]
  /// How tensors change between the two.
  public var transform: TensorTransform
  /// Where the rule was written.
  public let origin: Origin

  /// A rule.
  public init(left: [KeyPattern], right: [KeyPattern], transform: TensorTransform, origin: Origin) {
    self.left = left
    self.right = right
    self.transform = transform
    self.origin = origin
  }

  /// The keys that the rule claims on a side.
  public func claims(_ side: Side) -> [KeyPattern] { side == .left ? left : right }

  /// The same rule with every key moved under a prefix on each side.
  func under(left leftPrefix: KeyPattern, right rightPrefix: KeyPattern) -> Rule {
    var rule = self
    rule.left = left.map { $0.under(leftPrefix) }
    rule.right = right.map { $0.under(rightPrefix) }
    rule.transform = transform.under(left: leftPrefix, right: rightPrefix)
    return rule
  }
}

/// How tensors change between the two sides of a rule.
public enum TensorTransform: Sendable {
  /// The value moves from `left[0]` to `right[0]` unchanged. Further keys of a side are mirrors: written with the same
  /// value, and read only where the first is missing.
  case rename
  /// As `rename`, with the axes of a matrix exchanged; tensors of another rank stay as they are.
  case transposeMatrix
  /// `left[0]` holds what `right` holds in several tensors.
  case pack(Packing)
  /// The keys exist on one side only and are left out on the way to the other.
  case leaveOut(reason: String)
  /// Keys of one side that may stand there with None, but not with a tensor: it would mean a model that the other side
  /// cannot express.
  case refuse(reason: String)
  /// A tensor of one side that holds nothing learned: left out on the way to the other side, made anew on the way back
  /// wherever a key fits `beside`.
  case generate(on: Side, beside: KeyPattern, ElementRecipe)
  /// A tensor of one side that the other cannot give: drawn at random, from a fixed seed, if nothing else wrote it. A
  /// standard deviation of zero makes it all zeros. Its shape begins as that of the template does, if there is one.
  case draw(on: Side, key: String, shape: [Dimension], like: DrawTemplate?, standardDeviation: Float)
  /// One tensor of the other side stands on this side once for each number that `hole` takes. Read at number 0; written
  /// wherever a key fits `beside`.
  case repeated(on: Side, over: String, beside: KeyPattern)
  /// Older spelling of a key of this side: read as the key that fits `spelling`, never written. Of two spellings in one
  /// checkpoint the later counts; one that `yields` matches no rule beside the other.
  case alias(on: Side, spelling: KeyPattern, yields: Bool)
  /// A key of this side that the other side cannot do without; its absence ends the conversion.
  case need(on: Side, key: String, reason: String)
  /// On this side the value under `key` may be missing or None, because it is the one under `twin`; always, or while a
  /// config value is true. What is written for Hugging Face does not gain a missing key, which transformers ties by
  /// itself, unless `isWritten`.
  case tie(on: Side, key: String, twin: String, when: ConfigCondition?, isWritten: Bool)
  /// The rare exception, with both directions written out.
  case custom(CustomTransform)

  /// Keys inside the transform moved under the prefixes of a scope.
  func under(left: KeyPattern, right: KeyPattern) -> TensorTransform {
    func prefix(_ side: Side) -> KeyPattern { side == .left ? left : right }
    func moved(_ key: String, _ side: Side) -> String { KeyPattern(key).under(prefix(side)).description }
    switch self {
    case .generate(let side, let beside, let recipe):
      return .generate(on: side, beside: beside.under(prefix(side)), recipe)
    case .draw(let side, let key, let shape, let template, let deviation):
      let template = template.map { DrawTemplate(moved($0.key, side), overridesConfig: $0.overridesConfig) }
      return .draw(on: side, key: moved(key, side), shape: shape, like: template, standardDeviation: deviation)
    case .repeated(let side, let hole, let beside):
      return .repeated(on: side, over: hole, beside: beside.under(prefix(side)))
    case .alias(let side, let spelling, let yields):
      return .alias(on: side, spelling: spelling.under(prefix(side)), yields: yields)
    case .need(let side, let key, let reason):
      return .need(on: side, key: moved(key, side), reason: reason)
    case .tie(let side, let key, let twin, let condition, let isWritten):
      return .tie(
        on: side, key: moved(key, side), twin: moved(twin, side), when: condition, isWritten: isWritten)
    default: return self
    }
  }
}

/// A length that a rule needs: a number, or a value of one side's model config.
public enum Dimension: Sendable, Hashable {
  /// A constant.
  case fixed(Int)
  /// An integer of the model config of a side.
  case config(Side, String)

  /// An integer of the Model Zoo config.
  public static func cs(_ key: String) -> Dimension { .config(.cs, key) }
  /// An integer of the Hugging Face config.
  public static func hf(_ key: String) -> Dimension { .config(.hf, key) }
}

/// A tensor beside a drawn one, whose axes the first axes of the drawn one must equal.
public struct DrawTemplate: Sendable, Hashable {
  /// Its key, on the side of the drawn tensor.
  public let key: String
  /// True where it is believed when the config disagrees; otherwise the conversion ends there.
  public let overridesConfig: Bool

  /// A template.
  public init(_ key: String, overridesConfig: Bool) {
    self.key = key
    self.overridesConfig = overridesConfig
  }
}

/// A boolean of one side's model config that a rule depends on.
public struct ConfigCondition: Sendable, Hashable {
  /// Whose config.
  public let side: Side
  /// Which key. Absent counts as false.
  public let key: String

  /// True where the config of `side` has a true value under `key`.
  public init(_ side: Side, _ key: String) {
    self.side = side
    self.key = key
  }
}

/// Which generator makes a buffer, given the configs.
public struct ElementRecipe: Sendable {
  /// Yields the generator; throws when the configs lack what it needs.
  public let generator: @Sendable (RuleContext) throws(RuleFailure) -> ElementGenerator

  /// A recipe.
  public init(_ generator: @escaping @Sendable (RuleContext) throws(RuleFailure) -> ElementGenerator) {
    self.generator = generator
  }
}

/// A transform whose inverse cannot be derived. Needs a recorded example of its own in each direction.
public struct CustomTransform: Sendable {
  /// What it is called in plans and diagnostics.
  public let name: String
  /// Values of the left keys (nil where absent) to values of the right keys (nil leaves a key out).
  public let forward: @Sendable ([StateDict.Value?], RuleContext) throws(RuleFailure) -> [StateDict.Value?]
  /// Values of the right keys to values of the left keys.
  public let backward: @Sendable ([StateDict.Value?], RuleContext) throws(RuleFailure) -> [StateDict.Value?]

  /// Both directions.
  public init(
    _ name: String,
    forward: @escaping @Sendable ([StateDict.Value?], RuleContext) throws(RuleFailure) -> [StateDict.Value?],
    backward: @escaping @Sendable ([StateDict.Value?], RuleContext) throws(RuleFailure) -> [StateDict.Value?]
  ) {
    self.name = name
    self.forward = forward
    self.backward = backward
  }
}

/// Why a rule cannot be applied to the tensors it was given.
public struct RuleFailure: Error, Sendable {
  /// What does not fit, and what would.
  public let message: String

  /// A failure.
  public init(_ message: String) { self.message = message }
}

/// What a rule may look at besides its tensors: the model configs of both sides.
public struct RuleContext: Sendable {
  /// The model config of the left side, defaults filled in.
  public let left: ConfigObject
  /// The model config of the right side, defaults filled in.
  public let right: ConfigObject

  /// A context.
  public init(left: ConfigObject, right: ConfigObject) {
    self.left = left
    self.right = right
  }

  /// The model config of a side.
  public func config(_ side: Side) -> ConfigObject { side == .left ? left : right }

  /// The length that a dimension stands for. Throws when the config lacks it or holds no positive integer.
  public func length(_ dimension: Dimension) throws(RuleFailure) -> Int {
    switch dimension {
    case .fixed(let length): return length
    case .config(let side, let key):
      guard let value = config(side)[key] else { throw RuleFailure("the config lacks '\(key)', which is needed here") }
      guard case .number(let number) = value, let length = number.int, length > 0, length <= ConfigRule.largestDimension
      else { throw RuleFailure("'\(key)' of the config is \(value.pythonDescription), not a usable positive integer") }
      return length
    }
  }

  /// The number under a key. Throws when the config lacks it or holds something else.
  public func number(_ side: Side, _ key: String) throws(RuleFailure) -> Double {
    guard case .number(let number) = config(side)[key] else {
      throw RuleFailure("the config has no number under '\(key)', which is needed here")
    }
    return number.double
  }

  /// True where the config has a value under the condition's key that Python counts as true.
  public func holds(_ condition: ConfigCondition) -> Bool {
    config(condition.side)[condition.key]?.isTruthyInPython ?? false
  }
}
