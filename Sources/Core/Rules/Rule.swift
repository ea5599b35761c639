/// One of the two layouts that a set of rules connects.
enum Side: String, Sendable, Hashable, CaseIterable {
  /// Hugging Face, or the older of two releases.
  case left
  /// The Model Zoo, or the newer of two releases.
  case right

  /// The Hugging Face side of the rules that bridge to the Model Zoo.
  static let hf = Side.left
  /// The Model Zoo side of the rules that bridge from Hugging Face.
  static let cs = Side.right
  /// The older side of the rules of a revision.
  static let older = Side.left
  /// The newer side of the rules of a revision.
  static let newer = Side.right

  /// The other layout.
  var other: Side { self == .left ? .right : .left }
}

/// What connects keys of one layout with keys of the other. A plain value: nothing downstream sees how it was written.
///
/// One rule serves both directions; the inverse of a transform is derived, never written a second time.
struct Rule: Sendable {
  /// The four kinds of rule; the planner makes one pass for each.
  enum Action: Sendable {
    /// Tensors of one side become tensors of the other.
    case map(TensorTransform)
    /// A tensor of one side is made anew, because the other side has none.
    case make(Maker)
    /// Keys of one side depend on each other.
    case relate(Relation)
    /// Keys of one side have no counterpart.
    case leave(Omission)
  }

  /// The keys that the rule claims on the left; empty when it only knows the right.
  var left: [KeyPattern]
  /// The keys that the rule claims on the right.
  var right: [KeyPattern]
  /// What the rule does with them.
  var action: Action
  /// The shape of its tensors, and which of them a complete checkpoint has.
  var shape: DeclaredShape?
  /// When the rule exists at all; nil is always. Rules whose condition does not hold are not seen by the planner.
  var condition: RuleCondition?
  /// Where the rule was written.
  let origin: Origin

  init(
    left: [KeyPattern], right: [KeyPattern], _ action: Action, shape: DeclaredShape? = nil, origin: Origin
  ) {
    self.left = left
    self.right = right
    self.action = action
    self.shape = shape
    self.origin = origin
  }

  /// The keys that the rule claims on a side.
  func claims(_ side: Side) -> [KeyPattern] { side == .left ? left : right }

  /// How tensors change, when that is what the rule is about.
  var transform: TensorTransform? { if case .map(let transform) = action { transform } else { nil } }

  /// The same rule with every key moved under a prefix on each side.
  func under(left leftPrefix: KeyPattern, right rightPrefix: KeyPattern) -> Rule {
    var rule = self
    rule.left = left.map { $0.under(leftPrefix) }
    rule.right = right.map { $0.under(rightPrefix) }
    func prefix(_ side: Side) -> KeyPattern { side == .left ? leftPrefix : rightPrefix }
    switch action {
    case .map(let transform): rule.action = .map(transform.under(prefix))
    case .make(let maker): rule.action = .make(maker.under(prefix))
    case .relate(let relation): rule.action = .relate(relation.under(prefix))
    case .leave: break
    }
    return rule
  }
}

/// How tensors change between the two sides of a rule.
enum TensorTransform: Sendable {
  /// The value moves from `left[0]` to `right[0]` unchanged. Further keys of a side are mirrors: written with the same
  /// value, and read only where the first is missing.
  case rename
  /// As `rename`, with the axes of a matrix exchanged; tensors of another rank stay as they are.
  case transposeMatrix
  /// `left[0]` holds what `right` holds in several tensors.
  case pack(Packing)
  /// As `rename`, with rows of the left reordered for the rotary embeddings of the right.
  case rotate(RotaryPairs)
  /// As `rename`, with the rows of the right being those of the left moved on by so many, in a circle.
  case roll(by: Int)
  /// As `rename`, with a number added on the way to the right and subtracted on the way back, in the tensor's own dtype.
  case offset(Double)
  /// `left[0]` has a hole that `right[0]` lacks: the tensors for its numbers, each `[rows, columns]`, stand side by side
  /// in one tensor `[rows, count, columns]`.
  case stack(over: String, count: Dimension)
  /// One tensor of the other side stands on this side once for each number that `hole` takes. Read at number 0; written
  /// wherever a key fits `beside`.
  case repeated(on: Side, over: String, beside: KeyPattern)
  /// The rare exception, with both directions written out.
  case custom(CustomTransform)

  func under(_ prefix: (Side) -> KeyPattern) -> TensorTransform {
    guard case .repeated(let side, let hole, let beside) = self else { return self }
    return .repeated(on: side, over: hole, beside: beside.under(prefix(side)))
  }
}

/// Where a tensor comes from that only one side has.
enum Maker: Sendable {
  /// A tensor that holds nothing learned: left out on the way to the other side, made anew on the way back wherever a
  /// key fits `beside`.
  case generate(on: Side, beside: KeyPattern, ElementRecipe)
  /// A tensor that the other side cannot give: drawn from a fixed seed, if nothing else wrote it.
  case draw(Drawing)
  /// The tensor under another key of the same side once more: left out on the way to the other side, written again on the
  /// way back for each key that fits `original`.
  case copy(on: Side, of: KeyPattern)

  func under(_ prefix: (Side) -> KeyPattern) -> Maker {
    switch self {
    case .generate(let side, let beside, let recipe):
      return .generate(on: side, beside: beside.under(prefix(side)), recipe)
    case .draw(var drawing):
      let prefix = prefix(drawing.side)
      drawing.key = prefix.moved(drawing.key)
      drawing.template = drawing.template.map {
        DrawTemplate(prefix.moved($0.key), overridesConfig: $0.overridesConfig)
      }
      drawing.unless = drawing.unless?.under(prefix)
      return .draw(drawing)
    case .copy(let side, let original): return .copy(on: side, of: original.under(prefix(side)))
    }
  }
}

/// A tensor that is drawn because no source has it.
struct Drawing: Sendable {
  /// How its elements are spread.
  enum Distribution: Sendable, Hashable {
    /// All zeros, as biases start.
    case zeros
    /// Normal with mean 0.
    case normal(standardDeviation: Float)
    /// Uniform between plus and minus one over the square root of a length, as torch initialises linear layers.
    case uniform(fanIn: Dimension)
  }

  /// The side that needs it.
  let side: Side
  var key: String
  let shape: [Dimension]
  /// A tensor whose shape begins as that of the drawn one does, if there is one.
  var template: DrawTemplate?
  /// How its elements are spread.
  let distribution: Distribution
  /// It is not drawn where a key of its side fits this.
  var unless: KeyPattern?
}

/// What holds between keys of one side.
enum Relation: Sendable {
  /// The value under `key` may be missing or None, because it is the one under `twin`; always, or while a condition
  /// holds. What is written for Hugging Face does not gain a missing key, which transformers ties by itself, unless
  /// `isWritten`.
  case tie(on: Side, key: String, twin: String, when: RuleCondition?, isWritten: Bool)
  /// Older spelling of a key of this side: read as the key that fits `spelling`, never written. Of two spellings in one
  /// checkpoint the later counts; one that `yields` matches no rule beside the other.
  case alias(on: Side, spelling: KeyPattern, yields: Bool)
  /// A key of this side that the other side cannot do without; its absence ends the conversion.
  case need(on: Side, key: String, reason: String)

  func under(_ prefix: (Side) -> KeyPattern) -> Relation {
    switch self {
    case .tie(let side, let key, let twin, let condition, let isWritten):
      let prefix = prefix(side)
      return .tie(
        on: side, key: prefix.moved(key), twin: prefix.moved(twin), when: condition, isWritten: isWritten)
    case .alias(let side, let spelling, let yields):
      return .alias(on: side, spelling: spelling.under(prefix(side)), yields: yields)
    case .need(let side, let key, let reason):
      return .need(on: side, key: prefix(side).moved(key), reason: reason)
    }
  }
}

/// Why keys of one side have no counterpart.
enum Omission: Sendable, Hashable {
  /// They are left out on the way to the other side.
  case leaveOut(reason: String)
  /// They may stand there with None, but not with a tensor: it would mean a model that the other side cannot express.
  case refuse(reason: String)
}

extension KeyPattern {
  /// A plain key moved under this pattern.
  fileprivate func moved(_ key: String) -> String { KeyPattern(key).under(self).description }
}

/// A tensor beside a drawn one, whose axes the first axes of the drawn one must equal.
struct DrawTemplate: Sendable, Hashable {
  /// Its key, on the side of the drawn tensor.
  let key: String
  /// True where it is believed when the config disagrees; otherwise the conversion ends there.
  let overridesConfig: Bool

  init(_ key: String, overridesConfig: Bool) {
    self.key = key
    self.overridesConfig = overridesConfig
  }
}

/// Which generator makes a buffer, given the configs.
struct ElementRecipe: Sendable {
  /// Yields the generator; throws when the configs lack what it needs.
  let generator: @Sendable (RuleContext) throws(RuleFailure) -> ElementGenerator

  init(_ generator: @escaping @Sendable (RuleContext) throws(RuleFailure) -> ElementGenerator) {
    self.generator = generator
  }
}

/// A transform whose inverse cannot be derived. Needs a recorded example of its own in each direction.
struct CustomTransform: Sendable {
  /// What it is called in plans and diagnostics.
  let name: String
  /// Values of the left keys (nil where absent) to values of the right keys (nil leaves a key out).
  let forward: @Sendable ([StateDict.Value?], RuleContext) throws(RuleFailure) -> [StateDict.Value?]
  /// Values of the right keys to values of the left keys.
  let backward: @Sendable ([StateDict.Value?], RuleContext) throws(RuleFailure) -> [StateDict.Value?]

  /// Both directions.
  init(
    _ name: String,
    forward: @escaping @Sendable ([StateDict.Value?], RuleContext) throws(RuleFailure) -> [StateDict.Value?],
    backward: @escaping @Sendable ([StateDict.Value?], RuleContext) throws(RuleFailure) -> [StateDict.Value?]
  ) {
    self.name = name
    self.forward = forward
    self.backward = backward
  }
}
