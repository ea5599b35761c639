/// The sections of the two model configs that describe a component. An empty path is the whole config.
struct ConfigSections: Sendable, Hashable {
  /// The path in the config of the left side.
  let left: String
  /// The path in the config of the right side.
  let right: String

  /// Sections by their paths.
  init(_ left: String, _ right: String) {
    self.left = left
    self.right = right
  }

  /// Both, for names.
  fileprivate var place: String { "\(left) <-> \(right)" }

  func key(_ key: String, on side: Side) -> String {
    let path = side == .left ? left : right
    return path.isEmpty ? key : "\(path).\(key)"
  }

  func context(_ whole: RuleContext) -> RuleContext {
    RuleContext(left: whole.left.section(at: left), right: whole.right.section(at: right))
  }
}

extension Rule {
  /// The same rule for configs that hold what it asks for in a section each: every length, condition and function of the
  /// rule sees the sections only.
  func reading(_ sections: ConfigSections) -> Rule {
    var rule = self
    rule.shape = shape?.reading(sections)
    rule.condition = condition?.reading(sections)
    switch action {
    case .map(let transform): rule.action = .map(transform.reading(sections))
    case .make(let maker): rule.action = .make(maker.reading(sections))
    case .relate(.tie(let side, let key, let twin, let condition, let isWritten)):
      rule.action = .relate(
        .tie(on: side, key: key, twin: twin, when: condition?.reading(sections), isWritten: isWritten))
    case .relate, .leave: break
    }
    return rule
  }
}

extension TensorTransform {
  fileprivate func reading(_ sections: ConfigSections) -> TensorTransform {
    switch self {
    case .rename, .transposeMatrix, .roll, .offset, .repeated: return self
    case .pack(let packing): return .pack(packing.reading(sections))
    case .rotate(let pairs): return .rotate(pairs.reading(sections))
    case .stack(let hole, let count): return .stack(over: hole, count: count.reading(sections))
    case .custom(let custom):
      return .custom(
        CustomTransform(custom.name) { (values, whole) throws(RuleFailure) in
          try custom.forward(values, sections.context(whole))
        } backward: { (values, whole) throws(RuleFailure) in
          try custom.backward(values, sections.context(whole))
        })
    }
  }
}

extension Maker {
  fileprivate func reading(_ sections: ConfigSections) -> Maker {
    switch self {
    case .copy: return self
    case .generate(let side, let beside, let recipe):
      return .generate(
        on: side, beside: beside,
        ElementRecipe { (whole) throws(RuleFailure) in try recipe.generator(sections.context(whole)) })
    case .draw(let drawing):
      return .draw(
        Drawing(
          side: drawing.side, key: drawing.key, shape: drawing.shape.map { $0.reading(sections) },
          template: drawing.template, distribution: drawing.distribution.reading(sections), unless: drawing.unless))
    }
  }
}

extension Drawing.Distribution {
  fileprivate func reading(_ sections: ConfigSections) -> Self {
    if case .uniform(let width) = self { .uniform(fanIn: width.reading(sections)) } else { self }
  }
}

extension Packing {
  fileprivate func reading(_ sections: ConfigSections) -> Packing {
    Packing(
      rows: rows.map { if case .dimension(let length) = $0 { .dimension(length.reading(sections)) } else { $0 } },
      shares: shares.map { $0.map { $0.reading(sections) } }, transposed: transposed, square: square,
      rotary: rotary.map { $0.reading(sections) })
  }
}

extension RotaryPairs {
  fileprivate func reading(_ sections: ConfigSections) -> RotaryPairs {
    RotaryPairs(parts: parts, heads: heads.reading(sections), rotary: rotary.reading(sections))
  }
}

extension DeclaredShape {
  fileprivate func reading(_ sections: ConfigSections) -> DeclaredShape {
    DeclaredShape(
      axes: axes.map { $0.map { $0.reading(sections) } }, counts: counts.mapValues { $0.reading(sections) },
      presence: presence.reading(sections), bias: bias.reading(sections))
  }
}

extension DeclaredShape.Presence {
  fileprivate func reading(_ sections: ConfigSections) -> Self {
    if case .when(let condition) = self { .when(condition.reading(sections)) } else { self }
  }
}

extension RuleCondition {
  fileprivate func reading(_ sections: ConfigSections) -> RuleCondition {
    switch self {
    case .truthy(let side, let key, let otherwise):
      .truthy(side, sections.key(key, on: side), otherwise: otherwise)
    case .equal(let side, let key, let value): .equal(side, sections.key(key, on: side), value)
    case .not(let condition): .not(condition.reading(sections))
    case .both(let left, let right): .both(left.reading(sections), right.reading(sections))
    case .either(let left, let right): .either(left.reading(sections), right.reading(sections))
    case .custom(let name, let test): .custom("\(name) in \(sections.place)") { test(sections.context($0)) }
    }
  }
}

extension Dimension {
  fileprivate func reading(_ sections: ConfigSections) -> Dimension {
    switch self {
    case .fixed: return self
    case .config(let side, let key): return .config(side, sections.key(key, on: side))
    case .optional(let side, let key, let otherwise):
      return .optional(side, sections.key(key, on: side), otherwise: otherwise.reading(sections))
    case .product(let left, let right): return .product(left.reading(sections), right.reading(sections))
    case .quotient(let left, let right): return .quotient(left.reading(sections), right.reading(sections))
    case .sum(let left, let right): return .sum(left.reading(sections), right.reading(sections))
    case .derived(let derived):
      return .derived("\(derived.name) of \(sections.place)") { (whole) throws(RuleFailure) in
        try derived.length(sections.context(whole))
      }
    case .choice(let condition, let left, let right):
      return .choice(condition.reading(sections), left.reading(sections), right.reading(sections))
    }
  }
}
