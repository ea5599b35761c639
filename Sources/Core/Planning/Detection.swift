import OrderedCollections

/// Finds out which model and source format a config and a checkpoint are of, where the request says `auto`.
///
/// Three sieves, from cheap to dear. The config says whether it is of Hugging Face or of the Model Zoo, and often which
/// model it is. A sample of the keys says which layouts of the catalogue they belong to; layouts with equal keys are one.
/// What remains is planned: among plans that can be made, the class that the config names decides, then the layout that
/// uses most of the checkpoint, and between two releases whose plans do not differ, the newer one. Anything still open is
/// an error that lists the candidates.
enum Detection {
  /// What a request may say instead of a model or a source format.
  static let keyword = "auto"
  /// What a request may say for the release that the checkpoint itself names, as in the vendor's tool.
  static let releaseKeyword = "cs-auto"
  /// So many keys, evenly spread, speak for a checkpoint.
  private static let sampleCount = 256

  /// A layout that could be meant.
  private struct Candidate {
    let route: Route
    var plan: Plan

    var name: String { "--model \(route.model.name) --src-fmt \(route.source)" }
  }

  /// The route of a request, detected where it says `auto`, with a finding that says what was detected.
  ///
  /// `checkpoint` is nil when only a config is converted. Throws what `Catalogue.route` throws, `.unsupportedPair` when
  /// nothing fits, `.usage` when more than one layout fits. Complexity: O(models x releases) for the sieves, and one plan
  /// for each layout that passes them.
  static func route(
    model: String, from source: String, to target: String, config: ConfigObject,
    checkpoint: ObjectTree<TensorDescriptor>?, options: Planner.Options
  ) throws(ConversionError) -> (route: Route, findings: [Diagnostic]) {
    var source = source
    // A release that has variants of a model's layout records its numbers alone.
    let recorded = source == releaseKeyword ? checkpoint.flatMap(recordedRelease) : nil
    if let recorded, Catalogue.model(named: model)?.releases.contains(recorded) ?? (model != keyword) {
      source = recorded.description
    }
    guard model == keyword || source == keyword || source == releaseKeyword else {
      let layout = Catalogue.model(named: model).map { self.layout(of: $0, source, config, options) } ?? .folders
      return (try Catalogue.route(model: model, from: source, to: target, config: config, layout: layout), [])
    }
    var routes = try possibleRoutes(
      model: model, source: source, recorded: recorded, target: target, config: config, options)
    if let checkpoint { routes = try fitting(routes, checkpoint) }
    var candidates: [Candidate] = []
    var failures: [ConversionError] = []
    for route in routes {
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

  /// How Hugging Face keeps the model: a source says so by its config, a target is what was asked for.
  private static func layout(
    of model: Model, _ source: String, _ config: ConfigObject, _ options: Planner.Options
  ) -> HuggingFaceLayout {
    guard source == Format.hf.description else { return options.oneCheckpoint ? .oneCheckpoint : .folders }
    let sections = model.packedBridges.first?.components.map(\.name) ?? []
    return sections.contains { config[$0] != nil } ? .oneCheckpoint : .folders
  }

  /// Every route to the target that the request and the config allow. `recorded` is the release that the checkpoint
  /// names.
  private static func possibleRoutes(
    model: String, source: String, recorded: Release?, target: String, config: ConfigObject,
    _ options: Planner.Options
  ) throws(ConversionError) -> [Route] {
    guard Format(target: target) != nil else {
      throw ConversionError(.unsupportedPair, "'\(target)' is no target format.")
    }
    if source != keyword, source != releaseKeyword, Format(source) == nil {
      throw ConversionError(.unsupportedPair, "'\(source)' is no source format.")
    }
    var models = Catalogue.models
    if model != keyword {
      guard let named = Catalogue.model(named: model) else {
        // Words the error as for any other request.
        return [try Catalogue.route(model: model, from: source, to: target)]
      }
      models = [named]
    }
    let isNamed = model != keyword
    // A params file of the Model Zoo keeps the model's parameters in a section; a Hugging Face config has no sections.
    let hasTrainer = config["trainer"] != nil
    let isParams = hasTrainer || config.value(at: "model").map { if case .object = $0 { true } else { false } } ?? false
    let zooName = ["trainer.init.model.name", "model.name"].lazy.compactMap { config.value(at: $0) }.first
    // A config for each component is nothing but mappings.
    let hasFolders =
      !config.isEmpty && !isParams && config.values.allSatisfy { if case .object = $0 { true } else { false } }
    var routes: [Route] = []
    for model in models {
      if case .string(let name)? = zooName, !model.isCalled(name), models.contains(where: { $0.isCalled(name) }) {
        continue
      }
      for format in model.formats {
        switch (source, format) {
        case (keyword, _): guard format.isCS == isParams else { continue }
        case (releaseKeyword, .cs(let release)): guard recorded.map({ $0 == release.plain }) ?? true else { continue }
        default: guard Format(source) == format else { continue }
        }
        guard let target = model.format(target: target) else { continue }
        let meant: Model
        do throws(ConversionError) { meant = try model.meant(by: config, in: format) } catch {
          if isNamed { throw error }
          continue
        }
        // The layout of params files changed with release 2.3.
        if source != format.description, case .cs(let release) = format, hasTrainer, release < Release(2, 3) {
          continue
        }
        let layout = layout(of: meant, format.description, config, options)
        if format == .hf, case .string(let type)? = config["model_type"],
          !meant.bridges(layout).contains(where: { $0.modelTypes.contains(type) })
        {
          continue
        }
        if format == .hf, hasFolders == (layout == .oneCheckpoint || meant.components.isEmpty) { continue }
        if let route = Route(model: meant, source: format, target: target, layout: layout) {
          routes.append(route)
        }
      }
    }
    return routes
  }

  /// The routes whose source layout knows the keys of the checkpoint. On the way to Hugging Face, releases from 2.1 on with
  /// equal keys and one bridge convert alike, so the newest speaks for them.
  ///
  /// Throws nothing but `.cancelled`.
  private static func fitting(
    _ routes: [Route], _ checkpoint: ObjectTree<TensorDescriptor>
  ) throws(ConversionError) -> [Route] {
    struct Layout: Hashable {
      let model: String
      let patterns: [[KeyPattern]]
    }
    struct Kind: Hashable {
      let layout: Layout
      /// The newest of releases that convert alike.
      let release: Format
    }
    var newest: OrderedDictionary<Kind, Route> = [:]
    var known: [Layout: Bool] = [:]
    for route in routes {
      try Interruption.check()
      guard
        let content = try? CheckpointContent(checkpoint, along: route, bareAllowed: true)
      else { continue }
      let (rules, side) = layout(of: route)
      let layout = Layout(model: route.model.name, patterns: rules.map { $0.claims(side) })
      let fits = known[layout] ?? knows(content.stateDict, rules, side)
      known[layout] = fits
      guard fits else { continue }
      var spokesman = route.source
      if route.target == .hf, case .cs(let release) = route.source, release >= Release(2, 1),
        let bridge = route.model.bridge(covering: release)
      {
        spokesman = .cs(bridge.covers.upperBound)
      }
      newest[Kind(layout: layout, release: spokesman)] = route
    }
    return Array(newest.values)
  }

  /// The rules that claim the keys of a route's source: of the step to Hugging Face, or of the step to the neighbouring
  /// release for models and releases that Hugging Face has no part in.
  private static func layout(of route: Route) -> (rules: [Rule], side: Side) {
    if route.source == .hf, let hop = route.hops.first { return (hop.tensors, .left) }
    if case .cs(let release) = route.source, let bridge = route.model.bridge(covering: release) {
      return (bridge.crossing(at: release, zooName: route.model.zooName).tensors, .cs)
    }
    let position = route.model.releases.firstIndex { route.source == .cs($0) } ?? 0
    let revisions = route.model.ladder.revisions
    if position < revisions.count, !revisions[position].tensors.isEmpty { return (revisions[position].tensors, .older) }
    if position > 0, let older = revisions[..<position].last(where: { !$0.tensors.isEmpty }) {
      return (older.tensors, .newer)
    }
    return (revisions.first { !$0.tensors.isEmpty }?.tensors ?? [], .older)
  }

  /// True when the rules claim every key of a sample.
  private static func knows(_ state: StateDict, _ rules: [Rule], _ side: Side) -> Bool {
    let index = PatternIndex(
      rules.enumerated().flatMap { number, rule in
        rule.claims(side).enumerated().map { (PatternIndex.Slot(rule: number, position: $0), $1) }
      })
    let keys = state.values.keys
    let step = max(1, keys.count / sampleCount)
    return stride(from: 0, to: keys.count, by: step).allSatisfy { position in
      let key = keys[position]
      if !index.matches(key.keySegments).isEmpty { return true }
      guard side == .cs, key.hasPrefix(Model.optionalPrefix) else { return false }
      return !index.matches(key.dropFirst(Model.optionalPrefix.count).keySegments).isEmpty
    }
  }

  /// The release that wrote a checkpoint, by the last entry of its `__metadata__`; nil when it does not say.
  private static func recordedRelease(of checkpoint: ObjectTree<TensorDescriptor>) -> Release? {
    guard case .list(let entries)? = checkpoint["__metadata__"], case .string(let version)? = entries.last?["version"]
    else { return nil }
    let numbers = version.split(separator: ".").prefix(2).joined(separator: ".")
    return Release("cs-\(numbers)")
  }

  /// The candidates that the config's own words and the use of the checkpoint prefer.
  private static func narrowed(_ candidates: [Candidate], config: ConfigObject) -> [Candidate] {
    var candidates = candidates
    if case .array(let classes)? = config["architectures"] {
      let named = candidates.filter { candidate in
        candidate.route.model.bridges(candidate.route.layout).contains { classes.contains(.string($0.hfClass)) }
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

extension Model {
  /// True when params files call the model so.
  fileprivate func isCalled(_ name: String) -> Bool {
    zooName == name || aliases.contains { $0.zooName == name }
      || names.contains { $0.lowercased() == name.lowercased() }
  }
}
