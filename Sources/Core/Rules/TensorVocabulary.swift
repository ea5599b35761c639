/// The words that a family is written in. Each word yields rules and records where it was written.
protocol RuleGroup {
  var rules: [Rule] { get }
}

/// Collects the rules of a block.
@resultBuilder enum RulesBuilder {
  static func buildExpression(_ group: some RuleGroup) -> [Rule] { group.rules }
  static func buildExpression(_ rules: [Rule]) -> [Rule] { rules }
  static func buildBlock(_ parts: [Rule]...) -> [Rule] { parts.flatMap(\.self) }
  static func buildOptional(_ rules: [Rule]?) -> [Rule] { rules ?? [] }
  static func buildEither(first rules: [Rule]) -> [Rule] { rules }
  static func buildEither(second rules: [Rule]) -> [Rule] { rules }
  static func buildArray(_ parts: [[Rule]]) -> [Rule] { parts.flatMap(\.self) }
}

/// The same tensor under another name.
///
///     Rename("wte.weight", "embedding_layer.word_embeddings.weight", [.vocabulary, .hidden])
///
/// The axes are those of the right side; a key that ends in `bias` has the first of them. Without axes the planner does
/// not know what a complete checkpoint is, so every rule of the catalogue declares them.
struct Rename: RuleGroup {
  let rules: [Rule]

  /// `left` on the left is `right` on the right.
  init(
    _ left: KeyPattern, _ right: KeyPattern, _ axes: [Dimension]? = nil, presence: DeclaredShape.Presence = .always,
    bias: DeclaredShape.Presence = .always, file: String = #fileID, line: Int = #line
  ) {
    rules = [
      Rule(
        left: [left], right: [right], .map(.rename), shape: DeclaredShape(axes, presence, bias),
        origin: Origin(file, line))
    ]
  }

  /// `left` on the left is the first of `right` on the right; the others of `right` are mirrors of it.
  init(
    _ left: KeyPattern, mirrored right: [KeyPattern], _ axes: [Dimension]? = nil,
    presence: DeclaredShape.Presence = .always, bias: DeclaredShape.Presence = .always, file: String = #fileID,
    line: Int = #line
  ) {
    rules = [
      Rule(
        left: [left], right: right, .map(.rename), shape: DeclaredShape(axes, presence, bias),
        origin: Origin(file, line))
    ]
  }

  /// `right` on the right is the first of `left` on the left; the others of `left` are mirrors of it.
  init(
    mirrored left: [KeyPattern], _ right: KeyPattern, _ axes: [Dimension]? = nil,
    presence: DeclaredShape.Presence = .always, bias: DeclaredShape.Presence = .always, file: String = #fileID,
    line: Int = #line
  ) {
    rules = [
      Rule(
        left: left, right: [right], .map(.rename), shape: DeclaredShape(axes, presence, bias),
        origin: Origin(file, line))
    ]
  }
}

/// The same tensor under another name, a matrix with its axes exchanged: `Conv1D` on one side, `Linear` on the other.
struct Transpose: RuleGroup {
  let rules: [Rule]

  /// `left` on the left is the transpose of `right` on the right.
  init(
    _ left: KeyPattern, _ right: KeyPattern, _ axes: [Dimension]? = nil, presence: DeclaredShape.Presence = .always,
    bias: DeclaredShape.Presence = .always, file: String = #fileID, line: Int = #line
  ) {
    rules = [
      Rule(
        left: [left], right: [right], .map(.transposeMatrix), shape: DeclaredShape(axes, presence, bias),
        origin: Origin(file, line))
    ]
  }
}

/// One tensor on the left that holds several of the right.
struct Split: RuleGroup {
  let rules: [Rule]

  /// `left` holds `right`, in this order, with its rows arranged as `packing` says. `axes` has one list for all parts,
  /// or one for each.
  init(
    _ left: KeyPattern, into right: [KeyPattern], _ packing: Packing, _ axes: [Dimension]...,
    presence: DeclaredShape.Presence = .always, bias: DeclaredShape.Presence = .always, file: String = #fileID,
    line: Int = #line
  ) {
    var shape: DeclaredShape?
    if !axes.isEmpty { shape = DeclaredShape(axes: axes, presence: presence, bias: bias) }
    rules = [Rule(left: [left], right: right, .map(.pack(packing)), shape: shape, origin: Origin(file, line))]
  }
}

/// The same tensor under another name, with rows reordered between two conventions of rotary embeddings.
struct Rotate: RuleGroup {
  let rules: [Rule]

  /// `left` has each head's rotary rows in halves, `right` in pairs.
  init(
    _ left: KeyPattern, _ right: KeyPattern, _ pairs: RotaryPairs, _ axes: [Dimension]? = nil,
    presence: DeclaredShape.Presence = .always, bias: DeclaredShape.Presence = .always, file: String = #fileID,
    line: Int = #line
  ) {
    rules = [
      Rule(
        left: [left], right: [right], .map(.rotate(pairs)), shape: DeclaredShape(axes, presence, bias),
        origin: Origin(file, line))
    ]
  }
}

/// The same tensor under another name, its rows moved on in a circle.
struct Roll: RuleGroup {
  let rules: [Rule]

  /// Row `i` of `left` is row `i + by` of `right`, counted in a circle.
  init(
    _ left: KeyPattern, _ right: KeyPattern, by: Int, _ axes: [Dimension]? = nil,
    presence: DeclaredShape.Presence = .always, file: String = #fileID, line: Int = #line
  ) {
    rules = [
      Rule(
        left: [left], right: [right], .map(.roll(by: by)), shape: DeclaredShape(axes, presence, .always),
        origin: Origin(file, line))
    ]
  }
}

/// The same tensor under another name, with a number added to each element.
struct Offset: RuleGroup {
  let rules: [Rule]

  /// `right` is `left` plus `number`, computed in the tensor's own dtype; so coming back can differ by a rounding.
  init(
    _ left: KeyPattern, mirrored right: [KeyPattern], by number: Double, _ axes: [Dimension]? = nil,
    presence: DeclaredShape.Presence = .always, file: String = #fileID, line: Int = #line
  ) {
    rules = [
      Rule(
        left: [left], right: right, .map(.offset(number)), shape: DeclaredShape(axes, presence, .always),
        origin: Origin(file, line))
    ]
  }
}

/// Matrices on the left that are one tensor on the right: the experts of a mixture.
struct Stack: RuleGroup {
  let rules: [Rule]

  /// `left`, which has a hole `over` that `right` lacks, gives `count` matrices `[rows, columns]`; `right` holds them as
  /// `[rows, count, columns]`, which is what `axes` says.
  init(
    _ left: KeyPattern, _ right: KeyPattern, over hole: String, count: Dimension, _ axes: [Dimension]? = nil,
    file: String = #fileID, line: Int = #line
  ) {
    rules = [
      Rule(
        left: [left], right: [right], .map(.stack(over: hole, count: count)),
        shape: DeclaredShape(axes, .always, .always), origin: Origin(file, line))
    ]
  }
}

/// Keys that one side has and the other does not need.
struct Only: RuleGroup {
  let rules: [Rule]

  /// Keys of `side` that fit `pattern` are left out, for this reason.
  init(_ side: Side, _ pattern: KeyPattern, _ reason: String, file: String = #fileID, line: Int = #line) {
    rules = [
      Rule(
        left: side == .left ? [pattern] : [], right: side == .right ? [pattern] : [],
        .leave(.leaveOut(reason: reason)), origin: Origin(file, line))
    ]
  }
}

/// Keys that would mean a model that the other side cannot express.
struct Refuse: RuleGroup {
  let rules: [Rule]

  /// Keys of `side` that fit `pattern` may hold None only; a tensor there ends the conversion with this reason.
  init(_ side: Side, _ pattern: KeyPattern, _ reason: String, file: String = #fileID, line: Int = #line) {
    rules = [
      Rule(
        left: side == .left ? [pattern] : [], right: side == .right ? [pattern] : [],
        .leave(.refuse(reason: reason)), origin: Origin(file, line))
    ]
  }
}

/// A buffer that one side keeps in its checkpoints and that can be made anew.
struct Generated: RuleGroup {
  let rules: [Rule]

  /// Keys of `side` that fit `pattern` are left out; coming back, one is made for each key that fits `beside`.
  init(
    _ side: Side, _ pattern: KeyPattern, beside: KeyPattern, file: String = #fileID, line: Int = #line,
    _ generator: @escaping @Sendable (RuleContext) throws(RuleFailure) -> ElementGenerator
  ) {
    rules = [
      Rule(
        left: side == .left ? [pattern] : [], right: side == .right ? [pattern] : [],
        .make(.generate(on: side, beside: beside, ElementRecipe(generator))), origin: Origin(file, line))
    ]
  }
}

/// Tensors that one side holds twice: a second model that starts as the first.
///
///     Copied(.cs, "ref_model.{rest}", of: "policy_model.{rest}")
struct Copied: RuleGroup {
  let rules: [Rule]

  /// Keys of `side` that fit `pattern` are left out, with a warning where they are not of the same model as the keys that
  /// fit `original`; coming back, one is written for each key that fits `original`, with its tensor.
  init(
    _ side: Side, _ pattern: KeyPattern, of original: KeyPattern, file: String = #fileID, line: Int = #line
  ) {
    rules = [
      Rule(
        left: side == .left ? [pattern] : [], right: side == .right ? [pattern] : [],
        .make(.copy(on: side, of: original)), origin: Origin(file, line))
    ]
  }
}

/// A head that one side needs and the other does not have.
struct Drawn: RuleGroup {
  let rules: [Rule]

  /// `key` of `side` is drawn, by default from a normal distribution, unless another rule wrote it or a key that fits
  /// `unless`; and left out the other way, except for a fallback, whose key belongs to another rule. `template` is a
  /// tensor whose shape begins alike.
  init(
    _ side: Side, _ key: String, shape: [Dimension], like template: DrawTemplate? = nil,
    _ distribution: Drawing.Distribution = .normal(standardDeviation: 0.02), unless: KeyPattern? = nil,
    isFallback: Bool = false, file: String = #fileID, line: Int = #line
  ) {
    let claimed = isFallback ? [] : [KeyPattern(key)]
    let drawing = Drawing(
      side: side, key: key, shape: shape, template: template, distribution: distribution, unless: unless)
    rules = [
      Rule(
        left: side == .left ? claimed : [], right: side == .right ? claimed : [], .make(.draw(drawing)),
        shape: side == .right && !isFallback ? DeclaredShape(shape, .always, .always) : nil, origin: Origin(file, line))
    ]
  }
}

/// Two keys of one side that share one tensor, always or while a config value is true.
struct Tie: RuleGroup {
  let rules: [Rule]

  /// While `condition` holds, a missing or None `key` of `side` is the tensor under `twin`. A missing key is written for
  /// Hugging Face only where `isWritten` says so.
  init(
    _ side: Side, _ key: String, to twin: String, when condition: RuleCondition? = nil, isWritten: Bool = false,
    file: String = #fileID, line: Int = #line
  ) {
    rules = [
      Rule(
        left: [], right: [],
        .relate(.tie(on: side, key: key, twin: twin, when: condition, isWritten: isWritten)),
        origin: Origin(file, line))
    ]
  }
}

/// One tensor that the left side keeps a copy of in every layer.
struct Repeated: RuleGroup {
  let rules: [Rule]

  /// `left`, which has a hole `over` that `right` lacks, is `right` in each layer: the one of layer 0 is read, and one
  /// is written for each key of the left that fits `beside`.
  init(
    _ left: KeyPattern, _ right: KeyPattern, over hole: String, beside: KeyPattern, _ axes: [Dimension]? = nil,
    presence: DeclaredShape.Presence = .always, file: String = #fileID, line: Int = #line
  ) {
    rules = [
      Rule(
        left: [left], right: [right], .map(.repeated(on: .left, over: hole, beside: beside)),
        shape: DeclaredShape(axes, presence, .always), origin: Origin(file, line))
    ]
  }
}

/// An older spelling of a key, understood when reading and never written.
struct Alias: RuleGroup {
  let rules: [Rule]

  /// A key of `side` that fits `pattern` is read as if it were `spelling`; where it `yields`, only in its absence.
  init(
    _ side: Side, _ pattern: KeyPattern, for spelling: KeyPattern, yields: Bool = false, file: String = #fileID,
    line: Int = #line
  ) {
    rules = [
      Rule(
        left: side == .left ? [pattern] : [], right: side == .right ? [pattern] : [],
        .relate(.alias(on: side, spelling: spelling, yields: yields)), origin: Origin(file, line))
    ]
  }
}

/// A key whose absence says that the other side cannot hold the model.
struct Needed: RuleGroup {
  let rules: [Rule]

  /// Without `key`, a checkpoint of `side` is not converted, for this reason.
  init(_ side: Side, _ key: String, _ reason: String, file: String = #fileID, line: Int = #line) {
    rules = [
      Rule(
        left: [], right: [], .relate(.need(on: side, key: key, reason: reason)), origin: Origin(file, line))
    ]
  }
}

/// A change that no other word can say.
struct Custom: RuleGroup {
  let rules: [Rule]

  /// `left` and `right` correspond as `transform` says.
  init(
    _ left: [KeyPattern], _ right: [KeyPattern], _ transform: CustomTransform, file: String = #fileID,
    line: Int = #line
  ) {
    rules = [Rule(left: left, right: right, .map(.custom(transform)), origin: Origin(file, line))]
  }
}

/// Rules whose keys all live under a prefix; an empty prefix adds nothing.
struct Scope: RuleGroup {
  let rules: [Rule]

  /// Everything in `body` under `left` on the left and under `right` on the right. Where the prefixes have a numeric
  /// hole, `count` says how many numbers it takes: `Scope("h.{layer}", "layers.{layer}", count: .layers) { ... }`.
  ///
  /// A component of a composed model is described by a section of each config: with `sections` everything in `body` asks
  /// these, not the whole configs.
  init(
    _ left: KeyPattern, _ right: KeyPattern, count: Dimension? = nil, sections: ConfigSections? = nil,
    @RulesBuilder _ body: () -> [Rule]
  ) {
    let holes = left.numericHoles.union(right.numericHoles)
    rules = body().map { rule in
      var rule = rule.under(left: left, right: right)
      if let sections { rule = rule.reading(sections) }
      if let count { for hole in holes { rule.shape?.counts[hole] = count } }
      return rule
    }
  }
}

extension DeclaredShape {
  /// One list of axes for all keys; nil where nothing is declared.
  fileprivate init?(_ axes: [Dimension]?, _ presence: Presence, _ bias: Presence) {
    guard let axes else { return nil }
    self.init(axes: [axes], presence: presence, bias: bias)
  }
}
