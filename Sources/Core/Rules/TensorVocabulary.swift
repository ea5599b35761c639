/// The words that a family is written in. Each word yields rules and records where it was written.
protocol RuleGroup {
  /// The rules.
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
struct Rename: RuleGroup {
  let rules: [Rule]

  /// `left` on the left is `right` on the right.
  init(_ left: KeyPattern, _ right: KeyPattern, file: String = #fileID, line: Int = #line) {
    rules = [Rule(left: [left], right: [right], transform: .rename, origin: Origin(file, line))]
  }

  /// `left` on the left is the first of `right` on the right; the others of `right` are mirrors of it.
  init(_ left: KeyPattern, mirrored right: [KeyPattern], file: String = #fileID, line: Int = #line) {
    rules = [Rule(left: [left], right: right, transform: .rename, origin: Origin(file, line))]
  }

  /// `right` on the right is the first of `left` on the left; the others of `left` are mirrors of it.
  init(mirrored left: [KeyPattern], _ right: KeyPattern, file: String = #fileID, line: Int = #line) {
    rules = [Rule(left: left, right: [right], transform: .rename, origin: Origin(file, line))]
  }
}

/// The same tensor under another name, a matrix with its axes exchanged: `Conv1D` on one side, `Linear` on the other.
struct Transpose: RuleGroup {
  let rules: [Rule]

  /// `left` on the left is the transpose of `right` on the right.
  init(_ left: KeyPattern, _ right: KeyPattern, file: String = #fileID, line: Int = #line) {
    rules = [Rule(left: [left], right: [right], transform: .transposeMatrix, origin: Origin(file, line))]
  }
}

/// One tensor on the left that holds several of the right.
struct Split: RuleGroup {
  let rules: [Rule]

  /// `left` holds `right`, in this order, with its rows arranged as `packing` says.
  init(
    _ left: KeyPattern, into right: [KeyPattern], _ packing: Packing, file: String = #fileID, line: Int = #line
  ) {
    rules = [Rule(left: [left], right: right, transform: .pack(packing), origin: Origin(file, line))]
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
        transform: .leaveOut(reason: reason), origin: Origin(file, line))
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
        transform: .refuse(reason: reason), origin: Origin(file, line))
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
        transform: .generate(on: side, beside: beside, ElementRecipe(generator)), origin: Origin(file, line))
    ]
  }
}

/// A head that one side needs and the other does not have.
struct Drawn: RuleGroup {
  let rules: [Rule]

  /// `key` of `side` is drawn from a normal distribution, unless another rule wrote it, and left out the other way. A
  /// standard deviation of zero stands for zeros, as biases start. `template` is a tensor whose shape begins alike.
  init(
    _ side: Side, _ key: String, shape: [Dimension], like template: DrawTemplate? = nil,
    standardDeviation: Float = 0.02, file: String = #fileID, line: Int = #line
  ) {
    let pattern = KeyPattern(key)
    rules = [
      Rule(
        left: side == .left ? [pattern] : [], right: side == .right ? [pattern] : [],
        transform: .draw(on: side, key: key, shape: shape, like: template, standardDeviation: standardDeviation),
        origin: Origin(file, line))
    ]
  }
}

/// Two keys of one side that share one tensor, always or while a config value is true.
struct Tie: RuleGroup {
  let rules: [Rule]

  /// While `condition` holds, a missing or None `key` of `side` is the tensor under `twin`. A missing key is written for
  /// Hugging Face only where `isWritten` says so.
  init(
    _ side: Side, _ key: String, to twin: String, when condition: ConfigCondition? = nil, isWritten: Bool = false,
    file: String = #fileID, line: Int = #line
  ) {
    rules = [
      Rule(
        left: [], right: [],
        transform: .tie(on: side, key: key, twin: twin, when: condition, isWritten: isWritten),
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
    _ left: KeyPattern, _ right: KeyPattern, over hole: String, beside: KeyPattern, file: String = #fileID,
    line: Int = #line
  ) {
    rules = [
      Rule(
        left: [left], right: [right], transform: .repeated(on: .left, over: hole, beside: beside),
        origin: Origin(file, line))
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
        transform: .alias(on: side, spelling: spelling, yields: yields), origin: Origin(file, line))
    ]
  }
}

/// A key whose absence says that the other side cannot hold the model.
struct Needed: RuleGroup {
  let rules: [Rule]

  /// Without `key`, a checkpoint of `side` is not converted, for this reason.
  init(_ side: Side, _ key: String, _ reason: String, file: String = #fileID, line: Int = #line) {
    rules = [
      Rule(left: [], right: [], transform: .need(on: side, key: key, reason: reason), origin: Origin(file, line))
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
    rules = [Rule(left: left, right: right, transform: .custom(transform), origin: Origin(file, line))]
  }
}

/// Rules whose keys all live under a prefix; an empty prefix adds nothing.
struct Scope: RuleGroup {
  let rules: [Rule]

  /// Everything in `body` under `left` on the left and under `right` on the right.
  init(_ left: KeyPattern, _ right: KeyPattern, @RulesBuilder _ body: () -> [Rule]) {
    rules = body().map { $0.under(left: left, right: right) }
  }
}
