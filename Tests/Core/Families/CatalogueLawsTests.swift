import OrderedCollections
import Testing

@testable import Core

/// What must hold for every model of the catalogue, whoever declared it. Laws prove consistency; the goldens prove truth.
@Suite struct CatalogueLawsTests {
  /// A model with what the laws need of its family.
  struct Subject: Sendable, CustomTestStringConvertible {
    let family: String
    let model: Model
    /// What is changed in the small config of the model.
    var variant: SmallConfigs.Variant?

    var testDescription: String {
      (model.name == family ? family : "\(model.name) of \(family)")
        + (variant.map { " with \($0.testDescription)" } ?? "")
    }
  }

  /// An ordered pair of formats of a model.
  struct Pair: Sendable, CustomTestStringConvertible {
    let subject: Subject
    let source: Format
    let target: Format

    var testDescription: String { "\(subject.model.name): \(source) -> \(target)" }
  }

  /// The rules between two neighbours on a model's line.
  struct Hop: Sendable, CustomTestStringConvertible {
    let subject: Subject
    let name: String
    let tensors: [Rule]
    let config: [ConfigRule]

    var testDescription: String { "\(subject.model.name): \(name)" }
  }

  /// Models that are a choice stand for each alternative, with the small config of the model inside.
  static let subjects = Catalogue.all.flatMap { family in
    family.models.flatMap { model in
      model.choice?.models.map { Subject(family: $0.name, model: $0.model) }
        ?? [Subject(family: family.name, model: model)]
    }
  }

  /// Every pair with Hugging Face and every step of a ladder. Longer walks are made of these.
  static let pairs = subjects.flatMap { subject in
    let formats = subject.model.formats
    return formats.indices.flatMap { first in
      formats.indices.filter { second in
        first != second && (abs(first - second) == 1 || formats[first] == .hf || formats[second] == .hf)
      }.map { Pair(subject: subject, source: formats[first], target: formats[$0]) }
    }
  }

  /// The models with their small configs changed.
  static let varied = subjects.flatMap { subject in
    SmallConfigs.variants(of: subject.model.name, family: subject.family).map {
      Subject(family: subject.family, model: subject.model, variant: $0)
    }
  }

  /// These between Hugging Face and the newest release.
  static let variedPairs = varied.flatMap { subject -> [Pair] in
    guard let newest = subject.model.bridges.last?.covers.upperBound, let place = subject.variant?.place else {
      return []
    }
    let pair = Pair(subject: subject, source: .hf, target: .cs(newest))
    return switch place {
    case .hf: [pair, pair.reversed]
    case .cs: [pair.reversed]
    case .betweenReleases: []
    }
  }

  static let hops = subjects.flatMap { subject in
    let model = subject.model
    let bridges = model.bridges.flatMap { bridge in
      model.releases.filter(bridge.covers.contains).map { release in
        let crossing = bridge.crossing(at: release, zooName: model.zooName)
        return Hop(
          subject: subject, name: "hf <-> \(release)", tensors: crossing.tensors, config: crossing.config)
      }
    }
    let revisions = zip(model.releases, model.ladder.revisions).map { older, revision in
      Hop(
        subject: subject, name: "\(older) <-> \(revision.release)", tensors: revision.tensors,
        config: revision.config)
    }
    return bridges + revisions
  }

  // MARK: Names

  @Test func namesAreUnique() {
    let names = Catalogue.models.flatMap(\.names).map { $0.lowercased() }
    #expect(Set(names).count == names.count)
  }

  @Test(arguments: subjects) func releasesAscend(_ subject: Subject) {
    let releases = subject.model.releases
    for (older, newer) in zip(releases, releases.dropFirst()) { #expect(older < newer) }
    let bridged = subject.model.bridges.map(\.covers)
    for range in bridged { #expect(releases.contains(range.lowerBound) && releases.contains(range.upperBound)) }
    for (older, newer) in zip(bridged, bridged.dropFirst()) { #expect(older.upperBound < newer.lowerBound) }
  }

  @Test(arguments: pairs) func everyPairHasARoute(_ pair: Pair) throws {
    var config = try Self.config(of: pair)
    // The components of a composed model have a type each, and it has none.
    if pair.source == .hf, let type = pair.subject.model.bridges[0].modelTypes.first {
      config["model_type"] = .string(type)
    }
    let route = try Catalogue.route(
      model: pair.subject.model.name, from: pair.source.description, to: pair.target.description, config: config)
    #expect(!route.hops.isEmpty)
    let listing = try #require(Catalogue.listing(named: pair.subject.model.name))
    #expect(listing.conversions.count { $0.source == pair.source && $0.target == pair.target } == 1)
  }

  // MARK: Rules

  @Test(arguments: hops, Side.allCases) func noKeyIsClaimedTwice(_ hop: Hop, _ side: Side) {
    let index = PatternIndex(
      hop.tensors.enumerated().flatMap { number, rule in
        rule.claims(side).enumerated().map { (PatternIndex.Slot(rule: number, position: $0), $1) }
      })
    for rule in hop.tensors {
      for key in rule.instances(on: side).joined() {
        let claims = index.matches(key.split(separator: ".")).filter { found in
          rule.condition.map { own in
            hop.tensors[found.slot.rule].condition.map { !own.excludes($0) } ?? true
          } ?? true
        }
        #expect(claims.count == 1, "\(key) of \(side): \(claims.map { hop.tensors[$0.slot.rule].origin })")
      }
    }
  }

  @Test(arguments: hops) func holesAgree(_ hop: Hop) {
    for rule in hop.tensors {
      let holes = (rule.left + rule.right).map(\.holes)
      if case .make(.generate(_, let beside, _)) = rule.action {
        #expect(holes.allSatisfy { $0.isSubset(of: beside.holes) }, "rule at \(rule.origin)")
      } else if case .repeated(let side, let layer, let beside)? = rule.transform {
        let (many, one) = (rule.claims(side)[0].holes, rule.claims(side.other)[0].holes)
        #expect(many == one.union([layer]), "rule at \(rule.origin)")
        #expect(beside.holes.contains(layer), "rule at \(rule.origin)")
      } else if case .stack(let number, _)? = rule.transform {
        #expect(rule.left[0].holes == rule.right[0].holes.union([number]), "rule at \(rule.origin)")
      } else if !rule.left.isEmpty, !rule.right.isEmpty {
        #expect(Set(holes).count == 1, "rule at \(rule.origin)")
      }
    }
  }

  /// A buffer is made beside a key, so some rule must write such a key.
  @Test(arguments: hops) func buffersStandBesideKeysThatExist(_ hop: Hop) {
    for rule in hop.tensors {
      let (side, beside): (Side, KeyPattern)
      switch rule.action {
      case .make(.generate(let on, let anchor, _)), .map(.repeated(let on, _, let anchor)):
        (side, beside) = (on, anchor)
      default: continue
      }
      let written = Set(
        hop.tensors.flatMap { other -> [String] in
          if case .make(.generate) = other.action { return [] }
          return other.instances(on: side).flatMap { $0 }
        })
      #expect(written.contains(beside.example()), "rule at \(rule.origin): nothing writes \(beside)")
    }
  }

  @Test(arguments: hops, Side.allCases) func noConfigKeyIsClaimedTwice(_ hop: Hop, _ side: Side) {
    var claimed: [String: Origin] = [:]
    let small = side == .left ? SmallConfigs.config(of: hop.subject.model.name, family: hop.subject.family) ?? [:] : [:]
    for rule in hop.config where rule.condition?(side, small) ?? true {
      for key in rule.claimedKeys(on: side) {
        if let earlier = claimed.updateValue(rule.origin, forKey: key) {
          Issue.record("\(key) of \(side) is claimed at \(earlier) and at \(rule.origin)")
        }
      }
    }
  }

  /// A default or a filled-in key of a side that no rule reads or writes there would be a slip of the pen.
  @Test(arguments: hops) func assumptionsNameKnownKeys(_ hop: Hop) {
    for rule in hop.config {
      guard case .assume(let side, let key, _, _) = rule.action else { continue }
      #expect(
        hop.config.contains { $0.claimedKeys(on: side).contains(key) }, "'\(key)' of \(side), assumed at \(rule.origin)"
      )
    }
  }

  /// Each required value is accepted, another one and the same key on the wrong side are refused by name.
  @Test(arguments: pairs.filter { $0.source == .hf || $0.target == .hf })
  func requirementsHold(_ pair: Pair) throws {
    let own: Side = pair.source == .hf ? .hf : .cs
    let base = try Self.config(of: pair)
    let section = try Self.section(base, pair.source)
    let route = try #require(Route(model: pair.subject.model, source: pair.source, target: pair.target))
    let crossing = try #require(
      route.hops.lazy.compactMap { if case .bridge(let crossing, _) = $0 { crossing } else { nil } }.first)
    func findings(_ key: String, _ value: ConfigValue) -> [Diagnostic] {
      var config = base
      if own == .hf {
        config[key] = value
      } else if var section = try? ModelSection.find(in: config, format: pair.source) {
        section[key] = value
        config = ModelSection.replace(in: config, with: section)
      }
      do throws(ConversionError) {
        return try Planner.plan(config: config, along: route).warnings.filter {
          $0.subject == .config(key) && $0.message.hasPrefix("Key not matched")
        }
      } catch { return error.diagnostics.filter { $0.severity == .error && $0.subject == .config(key) } }
    }
    for rule in crossing.config {
      // One of several types of config may ask for other keys as well.
      guard case .require(let side, let key, let allowed) = rule.action, key != "model_type" || allowed.count == 1,
        rule.condition?(own, section) ?? true
      else { continue }
      if side == own {
        for value in allowed { #expect(findings(key, value).isEmpty, "\(key), required at \(rule.origin)") }
        #expect(!findings(key, "no such value").isEmpty, "\(key), required at \(rule.origin)")
      } else if !crossing.config.contains(where: { $0.claimedKeys(on: own).contains(key) }) {
        #expect(!findings(key, allowed[0]).isEmpty, "\(key), required at \(rule.origin)")
      }
    }
  }

  /// A condition that no config meets, or that every config meets, guards rules that nothing tries.
  @Test func conditionsHoldAndFail() throws {
    var outcomes: [String: Set<Bool>] = [:]
    func record(_ steps: [ConfigPlanner.Step]) {
      for step in steps {
        for condition in step.hop.tensors.flatMap(\.conditions) {
          outcomes[condition.name, default: []].insert(step.context.holds(condition))
        }
      }
    }
    for pair in Self.pairs + Self.variedPairs {
      record(try Self.steps(pair, config: Self.config(of: pair)).steps)
    }
    for subject in Self.varied {
      let ladder = subject.model.ladder
      let down = Pair(
        subject: subject, source: .cs(try #require(ladder.releases.last)), target: .cs(ladder.oldest))
      // Old releases have no words for some variants.
      guard let there = try? Self.steps(down, config: Self.config(of: down)) else { continue }
      record(there.steps)
      record((try? Self.steps(down.reversed, config: there.document).steps) ?? [])
    }
    #expect(outcomes.keys.contains("use_bias_in_output of right"))
    for (name, seen) in outcomes {
      #expect(seen.count == 2, "'\(name)' is always \(seen): add a variant to SmallConfigs")
    }
  }

  // MARK: Round trips

  @Test(arguments: pairs + variedPairs.filter { $0.subject.variant?.place == .hf })
  func tensorsComeBack(_ pair: Pair) throws {
    let there = try Self.steps(pair, config: Self.config(of: pair))
    let back = try Self.steps(pair.reversed, config: there.document)
    let (state, synthetic) = try Self.stateDict(of: pair)
    let written = try Self.convert(state, there.steps)
    let returned = try Self.convert(written, back.steps)

    let surviving = Set(written.values.values.flatMap { $0.tensor?.expression.sourceKeys ?? [] })
    #expect(!surviving.isEmpty)
    let source = MemoryCheckpoint(synthetic.shapes.map { ($0.key, $0.shape) }, model: false)
    let descriptors = try CheckpointContent(source.tree, format: .hf).descriptors
    for (key, value) in state.values {
      let tensor = try #require(value.tensor)
      guard !surviving.isDisjoint(with: tensor.expression.sourceKeys) else {
        #expect(returned.values[key]?.tensor?.expression != tensor.expression)
        continue
      }
      guard let result = returned.values[key]?.tensor else {
        Issue.record("\(key) does not come back")
        continue
      }
      #expect(result.shape == tensor.shape, "\(key)")
      if result.expression == tensor.expression { continue }
      let before = try evaluated(tensor, sources: descriptors, from: source)
      #expect(try evaluated(result, sources: descriptors, from: source) == before, "\(key)")
    }
    for (key, value) in returned.values where state.values[key] == nil {
      let keys = value.tensor?.expression.sourceKeys ?? []
      #expect(Set(keys).isSubset(of: surviving), "\(key) appears from nowhere")
    }
  }

  /// Across one hop every key comes back unless its rule says that it is lost.
  @Test(arguments: hops, Side.allCases) func nothingIsLostByAccident(_ hop: Hop, _ side: Side) throws {
    let model = hop.subject.model
    let pair = Self.pairs.first { pair in
      guard pair.subject.model.name == model.name, pair.subject.family == hop.subject.family,
        let route = Route(model: model, source: pair.source, target: pair.target), route.hops.count == 1
      else { return false }
      switch route.hops[0] {
      case .bridge(let crossing, let from): return hop.name == "hf <-> \(crossing.release)" && from == side
      case .revision(let revision, let from):
        return !hop.name.hasPrefix("hf") && hop.name.hasSuffix("\(revision.release)") && from == side
      }
    }
    let steps = try Self.steps(try #require(pair), config: Self.config(of: try #require(pair))).steps
    let synthetic = try SyntheticStateDict(
      Self.existing(hop.tensors, steps[0].context), side: side, context: steps[0].context, width: SmallConfigs.width)
    let written = try Self.convert(synthetic.stateDict, steps)
    let surviving = Set(written.values.values.flatMap { $0.tensor?.expression.sourceKeys ?? [] })
    #expect(surviving == Set(synthetic.shapes.map(\.key)))
  }

  @Test(arguments: pairs + variedPairs.filter { $0.subject.variant?.place == .hf })
  func configsComeBack(_ pair: Pair) throws {
    let config = try Self.config(of: pair)
    let there = try Self.steps(pair, config: config)
    let back = try Self.steps(pair.reversed, config: there.document)
    let before = try Self.section(config, pair.source).leaves
    let after = try Self.section(back.document, pair.source).leaves
    for (key, value) in before {
      guard let result = after[key] else { continue }
      #expect(result.isEqualInPython(value), "\(key): \(value.pythonDescription) became \(result.pythonDescription)")
    }
    // What says how large the model is must not get lost.
    let kept = before.keys.filter { after[$0] != nil }
    #expect(kept.contains { $0.hasSuffix("hidden_size") || $0 == "n_embd" || $0 == "d_model" }, "\(kept)")
  }

  // MARK: Making inputs

  /// The config of a model in the source format of a pair.
  static func config(of pair: Pair) throws -> ConfigObject {
    let first = try #require(pair.subject.model.formats.first)
    let small = try #require(
      SmallConfigs.config(of: pair.subject.model.name, family: pair.subject.family),
      "add a small config of family \(pair.subject.family)")
    // What Hugging Face says to a release its predecessors may not be able to say, so pairs of two releases start at the
    // oldest.
    let variant = pair.subject.variant
    var config = variant?.place == .hf ? variant?.applied(to: small) ?? small : small
    var format = first
    let oldest = Format.cs(pair.subject.model.ladder.oldest)
    for next in pair.target.isCS && pair.source.isCS ? [oldest, pair.source] : [pair.source] where next != format {
      let route = try #require(Route(model: pair.subject.model, source: format, target: next))
      config = try ConfigPlanner.convert(config, along: route).document
      format = next
    }
    guard let variant, variant.place != .hf else { return config }
    return variant.applied(to: config)
  }

  /// A state dict of a model in the source format of a pair, and what its expressions refer to.
  static func stateDict(of pair: Pair) throws -> (StateDict, SyntheticStateDict) {
    let model = pair.subject.model
    let first = try #require(model.formats.first)
    // What a variant changes, old releases may have no words for.
    let bridge = pair.subject.variant == nil ? model.bridges.first : model.bridges.last
    let next = bridge?.covers.lowerBound ?? model.ladder.revisions[0].release
    let neighbours = Pair(subject: pair.subject, source: first, target: .cs(next))
    let step = try steps(neighbours, config: config(of: neighbours)).steps[0]
    let synthetic = try SyntheticStateDict(
      existing(step.hop.tensors, step.context), side: .left, context: step.context, width: SmallConfigs.width)
    guard pair.source != first else { return (synthetic.stateDict, synthetic) }
    let start = Pair(subject: pair.subject, source: first, target: pair.source)
    let steps = try steps(start, config: config(of: start)).steps
    var state = try convert(synthetic.stateDict, steps)
    // Heads that were drawn on the way here come from no source.
    state.values.removeAll { $0.value.tensor?.expression.sourceKeys.isEmpty ?? true }
    return (state, synthetic)
  }

  /// The rules that exist for the configs.
  static func existing(_ rules: [Rule], _ context: RuleContext) -> [Rule] {
    rules.filter { $0.condition.map(context.holds) ?? true }
  }

  static func steps(
    _ pair: Pair, config: ConfigObject
  ) throws -> (steps: [ConfigPlanner.Step], document: ConfigObject) {
    let route = try #require(Route(model: pair.subject.model, source: pair.source, target: pair.target))
    let outcome = try ConfigPlanner.convert(config, along: route)
    return (outcome.steps, outcome.document)
  }

  /// The state dict after all steps; every key must match and every rule must apply.
  static func convert(_ state: StateDict, _ steps: [ConfigPlanner.Step]) throws -> StateDict {
    var state = state
    for step in steps {
      var findings = StateDictPlanner.Findings()
      state = try StateDictPlanner(step: step).convert(state, findings: &findings)
      #expect(findings.unmatched.isEmpty)
      #expect(findings.failures.isEmpty)
    }
    return state
  }

  static func section(_ document: ConfigObject, _ format: Format) throws -> ConfigObject {
    format.isCS ? try ModelSection.find(in: document, format: format) : document
  }
}

extension OrderedDictionary where Key == String, Value == ConfigValue {
  /// What it holds and what the sections inside of it hold, by path.
  fileprivate var leaves: ConfigObject {
    var leaves = ConfigObject()
    for (key, value) in self {
      if case .object(let section) = value, !section.isEmpty {
        for (inner, value) in section.leaves { leaves["\(key).\(inner)"] = value }
      } else {
        leaves[key] = value
      }
    }
    return leaves
  }
}

extension CatalogueLawsTests.Pair {
  /// The way back.
  var reversed: Self { Self(subject: subject, source: target, target: source) }
}

extension Rule {
  /// Everything that it depends on: whether it exists, and which of its keys do.
  fileprivate var conditions: [RuleCondition] {
    let presences = [shape?.presence, shape?.bias].map { presence -> RuleCondition? in
      if case .when(let condition)? = presence { condition } else { nil }
    }
    var tie: RuleCondition?
    if case .relate(.tie(_, _, _, let condition, _)) = action { tie = condition }
    return ([condition, tie] + presences).compactMap(\.self)
  }
}

extension RuleCondition {
  /// True where one of two conditions asks for what the other rules out.
  fileprivate func excludes(_ other: RuleCondition) -> Bool {
    parts.contains { part in other.parts.contains { $0 == !part || part == !$0 } }
  }

  private var parts: [RuleCondition] {
    if case .both(let left, let right) = self { left.parts + right.parts } else { [self] }
  }
}
