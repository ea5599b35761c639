import OrderedCollections

/// Converts model configs along a route. Pure: values in, values out.
struct ConfigPlanner {
  /// The configs around one hop, for the tensor rules of that hop.
  struct Step {
    let hop: Route.Hop
    let context: RuleContext
  }

  /// What comes out.
  struct Outcome {
    /// The whole output document.
    var document: ConfigObject
    /// The whole input document.
    var input: ConfigObject
    /// One entry for each hop.
    var steps: [Step]
    /// Keys that no rule knows.
    var warnings: [Diagnostic]
  }

  /// Converts a document. Throws `.configNotConvertible` with one diagnostic for each key at fault.
  static func convert(_ document: ConfigObject, along route: Route) throws(ConversionError) -> Outcome {
    try ConfigIdentity.check(document, along: route)
    var outcome = Outcome(document: document, input: document, steps: [], warnings: [])
    var section = try modelSection(of: document, format: route.source)
    for hop in route.hops {
      let engine = Engine(hop: hop)
      let (source, target) = try engine.convert(section, warnings: &outcome.warnings)
      let context =
        switch hop {
        case .bridge(_, from: .left), .revision(_, from: .left): RuleContext(left: source, right: target)
        case .bridge(_, from: .right), .revision(_, from: .right): RuleContext(left: target, right: source)
        }
      outcome.steps.append(Step(hop: hop, context: context))
      section = target
    }
    switch (route.source, route.target) {
    case (.hf, .cs):
      // Every release of the Model Zoo trains in mixed precision unless told otherwise.
      if section["mixed_precision"] == nil { section["mixed_precision"] = true }
      outcome.document = ["model": .object(section)]
    case (_, .hf):
      outcome.document = route.hops.last?.huggingFaceHeader ?? [:]
      for (key, value) in section { outcome.document[key] = value }
    case (.cs, .cs):
      // The other sections of a params file are not the model's and stay as they are.
      outcome.document["model"] = .object(section)
    }
    return outcome
  }

  /// The part of a document that describes the model.
  private static func modelSection(of document: ConfigObject, format: Format) throws(ConversionError) -> ConfigObject {
    guard format.isCS else { return document }
    guard case .object(let section) = document["model"] else {
      let message =
        "The params file has no section 'model'. A \(format) config keeps the model's parameters there; "
        + "if this is a Hugging Face config, use --src-fmt hf."
      throw ConversionError(
        .configNotConvertible, "ConfigConversionError: \(message)",
        diagnostics: [Diagnostic(.error, .configNotConvertible, .config("model"), message)])
    }
    return section
  }
}

/// Applies the config rules of one hop in one direction.
private struct Engine {
  let rules: [ConfigRule]
  let from: Side
  let passesUnknownKeys: Bool

  init(hop: Route.Hop) {
    switch hop {
    case .bridge(let bridge, let side):
      rules = bridge.config
      from = side
      passesUnknownKeys = false
    case .revision(let revision, let side):
      rules = revision.config
      from = side
      passesUnknownKeys = true
    }
  }

  /// The source with defaults filled in, and the target.
  func convert(
    _ input: ConfigObject, warnings: inout [Diagnostic]
  ) throws(ConversionError) -> (source: ConfigObject, target: ConfigObject) {
    var source = input
    var failures: [Diagnostic] = []
    func attempt<Value>(_ rule: ConfigRule, _ work: () throws(ConfigFailure) -> Value?) -> Value? {
      do throws(ConfigFailure) { return try work() } catch {
        failures.append(
          Diagnostic(.error, .configNotConvertible, .config(error.key), error.message, origin: rule.origin))
        return nil
      }
    }

    for rule in rules {
      switch rule.action {
      case .check(from, let condition): attempt(rule) { () throws(ConfigFailure) -> Void? in try condition(source) }
      case .assume(from, let key, let orNull, let derive) where source[key] == nil || orNull && source[key] == .null:
        if let value = attempt(rule, { () throws(ConfigFailure) in try derive(source) }) { source[key] = value }
      case .caution(from, let key, let sentence):
        if let sentence = sentence(source) {
          warnings.append(
            Diagnostic(.warning, .configNotConvertible, .config(key), sentence, origin: rule.origin))
        }
      default: break
      }
    }

    let index = Dictionary(
      rules.compactMap { rule in rule.claimedKey(on: from).map { ($0, rule) } }, uniquingKeysWith: { first, _ in first }
    )
    let foreign = Dictionary(
      rules.compactMap { rule in rule.foreignKey(on: from).map { ($0, rule) } }, uniquingKeysWith: { first, _ in first }
    )
    var target = ConfigObject()
    for (key, value) in source {
      guard let rule = index[key] else {
        if let rule = foreign[key] {
          let _: Void? = attempt(rule) { () throws(ConfigFailure) in
            throw ConfigFailure(key, "\(key) should not appear in the config: it belongs to the other format.")
          }
        } else if passesUnknownKeys {
          target[key] = value
        } else {
          warnings.append(
            Diagnostic(.warning, .configNotConvertible, .config(key), "Key not matched: \(key)"))
        }
        continue
      }
      switch rule.action {
      case .key(let left, let right, let forward, let backward):
        let mapping = from == .left ? forward : backward
        let mapped = attempt(rule) { () throws(ConfigFailure) in
          if let mapping { try mapping(value, source) } else { value }
        }
        if let mapped { target[from == .left ? right : left] = mapped }
      case .require(_, _, let allowed):
        if !allowed.contains(where: { $0.isEqualInPython(value) }) {
          let _: Void? = attempt(rule) { () throws(ConfigFailure) in
            throw .unsupported(key, value, supported: allowed)
          }
        }
      case .ignore, .assume, .fill, .check, .caution: break
      }
    }
    if !failures.isEmpty { throw Self.error(failures, warnings: warnings) }
    for rule in rules {
      if case .fill(from.other, let key, let derive) = rule.action, target[key] == nil,
        let value = attempt(rule, { () throws(ConfigFailure) in try derive(target) })
      {
        target[key] = value
      }
    }
    if !failures.isEmpty { throw Self.error(failures, warnings: warnings) }
    return (source, target)
  }

  private static func error(_ failures: [Diagnostic], warnings: [Diagnostic]) -> ConversionError {
    let message = failures.map(\.message).joined(separator: "\n")
    return ConversionError(
      .configNotConvertible, "ConfigConversionError: \(message)", diagnostics: warnings + failures)
  }
}

extension ConfigRule {
  /// The key of a source of `side` that this rule takes care of.
  func claimedKey(on side: Side) -> String? {
    switch action {
    case .key(let left, let right, _, _): side == .left ? left : right
    case .require(side, let key, _), .ignore(side, let key): key
    default: nil
    }
  }

  /// The key that must not stand in a source of `side`, because only the other side has it.
  func foreignKey(on side: Side) -> String? {
    if case .require(side.other, let key, _) = action { key } else { nil }
  }
}

extension Route.Hop {
  /// What `AutoModel.from_pretrained` needs to find the class of a config.
  fileprivate var huggingFaceHeader: ConfigObject? {
    guard case .bridge(let bridge, _) = self else { return nil }
    return ["architectures": .array([.string(bridge.hfClass)]), "model_type": .string(bridge.modelType)]
  }
}
