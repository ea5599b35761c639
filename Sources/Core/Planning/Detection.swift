import OrderedCollections

/// Finds out which model and source format a config and a checkpoint are of, where the request says `auto`.
///
/// Every layout of the catalogue that could be meant is tried against the keys. What fits is kept; among layouts that fit,
/// the class that the config names decides, then the layout that uses most of the checkpoint, and between two releases
/// whose plans do not differ, the newer one. Anything still open is an error that lists the candidates.
enum Detection {
  /// What a request may say instead of a model or a source format.
  static let keyword = "auto"

  /// A layout that could be meant.
  private struct Candidate {
    let route: Route
    var plan: Plan

    var name: String { "--model \(route.model.name) --src-fmt \(route.source)" }
  }

  /// The route of a request, detected where it says `auto`, with a finding that says what was detected.
  ///
  /// `checkpoint` is nil when only a config is converted. Throws what `Catalogue.route` throws, `.unsupportedPair` when
  /// nothing fits, `.usage` when more than one layout fits. Complexity: one plan for each layout that could be meant.
  static func route(
    model: String, from source: String, to target: String, config: ConfigObject,
    checkpoint: ObjectTree<TensorDescriptor>?, options: Planner.Options
  ) throws(ConversionError) -> (route: Route, findings: [Diagnostic]) {
    guard model == keyword || source == keyword else {
      return (try Catalogue.route(model: model, from: source, to: target), [])
    }
    let routes = try possibleRoutes(model: model, source: source, target: target, config: config)
    var candidates: [Candidate] = []
    var failures: [ConversionError] = []
    for route in routes {
      if let checkpoint, try !fits(checkpoint, route) { continue }
      do throws(ConversionError) {
        let plan =
          if let checkpoint {
            try Planner.plan(config: config, checkpoint: checkpoint, along: route, options: options)
          } else {
            try Planner.plan(config: config, along: route)
          }
        candidates.append(Candidate(route: route, plan: plan))
      } catch {
        try Interruption.check()
        failures.append(error)
      }
    }
    guard !candidates.isEmpty else {
      // Keys that fit one layout whose config cannot be converted deserve that layout's own error.
      if let failure = failures.first { throw failure }
      throw ConversionError(
        .unsupportedPair,
        "No model of the catalogue has these keys and this config and converts to \(target). Name the model and its "
          + "format with --model and --src-fmt; `zooport list` shows what there is.")
    }
    let best = narrowed(candidates, config: config)
    guard let chosen = best.last, best.dropLast().allSatisfy({ same($0.plan, chosen.plan) }) else {
      let list = best.map(\.name).joined(separator: "; ")
      throw ConversionError(.usage, "More than one layout fits, and they convert differently. Choose one of: \(list).")
    }
    let message = "Detected model \(chosen.route.model.name), source format \(chosen.route.source)"
    return (chosen.route, [Diagnostic(.warning, .usage, .conversion, message)])
  }

  /// Every route to the target that the request and the shape of the config allow.
  private static func possibleRoutes(
    model: String, source: String, target: String, config: ConfigObject
  ) throws(ConversionError) -> [Route] {
    guard let target = Format(target) else {
      throw ConversionError(.unsupportedPair, "'\(target)' is no target format.")
    }
    if source != keyword, Format(source) == nil {
      throw ConversionError(.unsupportedPair, "'\(source)' is no source format.")
    }
    var models = Catalogue.models
    if model != keyword {
      guard let named = Catalogue.model(named: model) else {
        // Words the error as for any other request.
        return [try Catalogue.route(model: model, from: source, to: target.description)]
      }
      models = [named]
    }
    // A params file of the Model Zoo keeps the model's parameters in a section; a Hugging Face config has no sections.
    let isParams = if case .object = config["model"] { true } else { false }
    var routes: [Route] = []
    for model in models {
      for format in model.formats {
        guard source == keyword ? format.isCS == isParams : Format(source) == format else { continue }
        if format == .hf, case .string(let type)? = config["model_type"], type != model.bridge?.modelType { continue }
        if let route = Route(model: model, source: format, target: target) { routes.append(route) }
      }
    }
    return routes
  }

  /// True when the layout knows every key of the checkpoint.
  ///
  /// The way to another release may let any key pass, so the keys are tried on the way to the layout that is furthest
  /// from the source. Throws nothing but `.cancelled`.
  private static func fits(_ checkpoint: ObjectTree<TensorDescriptor>, _ route: Route) throws(ConversionError) -> Bool {
    guard let probe = KnownKeys.probe(route.model, from: route.source),
      var state = try? CheckpointContent(
        checkpoint, format: route.source, bareAllowed: true, known: KnownKeys(route.model, in: route.source)
      ).stateDict
    else {
      try Interruption.check()
      return false
    }
    var prefix = probe.optionalPrefix
    for hop in probe.hops {
      var findings = StateDictPlanner.Findings()
      let step = ConfigPlanner.Step(hop: hop, context: RuleContext(left: [:], right: [:]))
      state = try StateDictPlanner(step: step, optionalPrefix: prefix).convert(state, findings: &findings)
      prefix = nil
      if !findings.unmatched.isEmpty { return false }
    }
    return true
  }

  /// The candidates that the config's own words and the use of the checkpoint prefer.
  private static func narrowed(_ candidates: [Candidate], config: ConfigObject) -> [Candidate] {
    var candidates = candidates
    if case .array(let classes)? = config["architectures"] {
      let named = candidates.filter { candidate in
        candidate.route.model.bridges.contains { classes.contains(.string($0.hfClass)) }
      }
      if !named.isEmpty { candidates = named }
    }
    func used(_ plan: Plan) -> Int { Set(plan.tensors.flatMap(\.tensor.expression.sourceKeys)).count }
    let most = candidates.map { used($0.plan) }.max()
    return candidates.filter { used($0.plan) == most }
  }

  private static func same(_ left: Plan, _ right: Plan) -> Bool {
    left.tree == right.tree && left.tensors == right.tensors && left.config == right.config
  }
}
