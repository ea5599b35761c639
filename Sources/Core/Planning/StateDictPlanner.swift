import OrderedCollections

/// Applies the tensor rules of one hop in one direction to a state dict. Pure: names and shapes in, expressions out.
///
/// Complexity: O(keys x segments), whatever the number of rules.
struct StateDictPlanner {
  let rules: [Rule]
  /// What each rule that maps tensors does, by the number of the rule.
  private let mappings: [RuleApplication?]
  let from: Side
  private let passesUnknownKeys: Bool
  private let prefix: Route.PrefixPolicy
  private let config: [ConfigRule]
  private let context: RuleContext
  /// The release or format that is written, for messages.
  private let target: String

  /// What was found besides the result.
  struct Findings {
    var unmatched: [String] = []
    var failures: [Diagnostic] = []
    var warnings: [Diagnostic] = []
    /// Where the vendor's tool would have written something unusable, and what was done instead.
    var deviations: [Diagnostic] = []
    /// Where the checkpoint is not the whole model that the config describes.
    var incomplete: [Diagnostic] = []
  }

  /// A planner for the rules of a hop that exist for its configs.
  init(step: ConfigPlanner.Step) {
    let context = step.context
    self.context = context
    let rules = step.hop.tensors.filter { $0.condition.map(context.holds) ?? true }
    let from = step.hop.from
    self.rules = rules
    self.from = from
    mappings = rules.map { RuleApplication($0, from: from, context: context) }
    config = step.hop.config
    prefix = step.hop.prefix
    switch step.hop {
    case .bridge(let crossing, let side):
      passesUnknownKeys = false
      target = side == .hf ? crossing.release.description : "hf"
    case .revision(let revision, _):
      passesUnknownKeys = !revision.coversAllKeys
      target = revision.release.description
    }
  }

  /// A rule met by keys that agree on its holes.
  struct Instance {
    let rule: Int
    let binding: KeyPattern.Binding
    /// Positions in the source: one for each pattern that the rule claims, nil where the key is missing; for a stack, one
    /// for each number.
    var positions: ShortList<Int?>
    /// Numbers of a stack, one for each position.
    var numbers: [Int] = []

    /// The first key of the source that belongs to it.
    func subject(in source: Entries) -> String {
      for position in positions { if let position { return source.keys[position] } }
      return ""
    }
  }

  /// Keys and values of the source by position. Instances hold positions, because copies of keys and values would be counted
  /// as references for each of them.
  struct Entries {
    let keys: [String]
    let values: [StateDict.Value]

    /// Complexity: O(1).
    init(_ values: OrderedDictionary<String, StateDict.Value> = [:]) {
      keys = values.keys.elements
      self.values = values.values.elements
    }
  }

  /// The state dict of the other side. Throws nothing but `.cancelled`: whatever is wrong with the input is a finding.
  ///
  /// Complexity: O(keys) for keys whose segments are mostly literal.
  func convert(_ input: StateDict, findings: inout Findings) throws(ConversionError) -> StateDict {
    // What no rule can change passes as it is.
    if rules.isEmpty, passesUnknownKeys, prefix == .carried { return input }
    var reading = Reading()
    try read(input, into: &reading, &findings)
    let (source, prefixed) = (reading.source, reading.prefixed)
    var output = reading.passed
    output.reserveCapacity(input.values.count)
    var written = reading.written
    var repeats: [Instance] = []
    var results: [(key: String, value: StateDict.Value)] = []
    var pacer = Interruption.Pacer()
    for instance in reading.instances {
      try pacer.step()
      if mappings[instance.rule]?.isRepeated ?? false {
        repeats.append(instance)
        continue
      }
      results.removeAll(keepingCapacity: true)
      apply(instance, of: source, to: &results, &findings)
      let isCarried = prefix == .carried && prefixed.contains(instance.subject(in: source))
      for (key, value) in results {
        if output.updateValue(value, forKey: key) != nil {
          fail("'\(key)' would be written twice", of: instance, in: source, &findings)
        }
        if isCarried { written.insert(key) }
      }
    }
    try writeRepeats(repeats, of: source, to: &output)
    try generateBuffers(&output, &findings)
    let tied = resolveTies(&output, side: from.other, addsMissing: from.other == .cs)
    for (key, twin, _) in tied where written.contains(twin) { written.insert(key) }
    drawHeads(&output, &findings)
    for (key, original) in try writeCopies(to: &output) where written.contains(original) { written.insert(key) }
    guard prefix == .carried, !written.isEmpty else { return StateDict(output) }
    var carried = OrderedDictionary<String, StateDict.Value>(minimumCapacity: output.count)
    for (key, value) in output { carried[written.contains(key) ? Model.optionalPrefix + key : key] = value }
    return StateDict(carried)
  }

  /// What the source's keys are by the rules.
  private struct Reading {
    var source = Entries()
    var instances: [Instance] = []
    /// Keys that no rule claims and that go on as they are.
    var passed: OrderedDictionary<String, StateDict.Value> = [:]
    /// Keys that had the optional prefix, and those of them that went on.
    var prefixed: Set<String> = []
    var written: Set<String> = []
  }

  /// Where a checkpoint is not the whole model that its config describes, by the rules that would read it.
  ///
  /// Throws nothing but `.cancelled`. Complexity: O(keys).
  func incomplete(_ input: StateDict) throws(ConversionError) -> [Diagnostic] {
    var reading = Reading()
    var findings = Findings()
    try read(input, into: &reading, &findings)
    return findings.incomplete
  }

  /// Groups the source's keys by the rules that claim them, and compares them with what the config describes.
  private func read(
    _ input: StateDict, into reading: inout Reading, _ findings: inout Findings
  ) throws(ConversionError) {
    var source = input.values
    if prefix != .none { source = try withoutPrefix(source, &reading.prefixed, &findings) }
    for (key, twin, rule) in resolveTies(&source, side: from, addsMissing: true) {
      if prefix == .carried, reading.prefixed.contains(twin) { reading.prefixed.insert(key) }
      findings.deviations.append(
        Diagnostic(
          .warning, .stateDictMismatch, .tensor(key),
          "\(key) is missing or None in the source; it is filled from \(twin), with which it is shared",
          origin: rule.origin))
    }
    checkNeeds(source, &findings)
    try compareCopies(source, &findings)
    try collect(source, into: &reading, &findings)
    reading.source = Entries(source)
    try Completeness(rules: rules, from: from, context: context, config: config)
      .check(reading.instances, in: reading.source, &findings.incomplete)
  }

  /// Groups keys into rule instances, in the order in which their first keys come.
  private func collect(
    _ source: OrderedDictionary<String, StateDict.Value>, into reading: inout Reading, _ findings: inout Findings
  ) throws(ConversionError) {
    let index = PatternIndex(
      rules.enumerated().flatMap { number, rule in
        rule.claims(from).enumerated().map { (PatternIndex.Slot(rule: number, position: $0), $1) }
      })
    reading.instances.reserveCapacity(source.count)
    let arities = rules.map { $0.claims(from).count }
    let stacks = rules.map { rule -> String? in
      if case .stack(let hole, _)? = rule.transform, from == .left { hole } else { nil }
    }
    var open: [OpenInstance: Int] = [:]
    let hasAliases = rules.contains { if case .relate(.alias(from, _, _)) = $0.action { true } else { false } }
    var matches = PatternIndex.Matches()
    var pacer = Interruption.Pacer()
    for (place, key) in source.keys.elements.enumerated() {
      try pacer.step()
      guard let (slot, matched) = match(key, index, in: source, &matches) else {
        if passesUnknownKeys {
          reading.passed[key] = source.values[place]
          if reading.prefixed.contains(key) { reading.written.insert(key) }
        } else {
          findings.unmatched.append(key)
        }
        continue
      }
      var binding = matched
      var number: Int?
      if let hole = stacks[slot.rule] {
        number = binding[hole].flatMap { Int($0) }
        binding[hole] = nil
      } else if arities[slot.rule] == 1, !hasAliases {
        reading.instances.append(Instance(rule: slot.rule, binding: binding, positions: ShortList(place)))
        continue
      }
      let identity = OpenInstance(rule: slot.rule, binding: binding)
      let position: Int
      if let known = open[identity] {
        position = known
      } else {
        position = reading.instances.count
        open[identity] = position
        let count = number == nil ? arities[slot.rule] : 0
        reading.instances.append(
          Instance(rule: slot.rule, binding: binding, positions: ShortList(repeating: nil, count: count)))
      }
      if let number {
        reading.instances[position].numbers.append(number)
        reading.instances[position].positions.append(place)
      } else {
        reading.instances[position].positions[slot.position] = place
      }
    }
  }

  /// The rule that a key belongs to; an older spelling belongs to the rule of the spelling it stands for.
  private func match(
    _ key: String, _ index: PatternIndex, in source: OrderedDictionary<String, StateDict.Value>,
    _ matches: inout PatternIndex.Matches
  ) -> (slot: PatternIndex.Slot, binding: KeyPattern.Binding)? {
    index.find(key, &matches)
    guard let found = matches.found.first else { return nil }
    guard case .relate(.alias(from, let spelling, let yields)) = rules[found.slot.rule].action else { return found }
    let spelled = spelling.fill(found.binding)
    if yields, source[spelled] != nil { return nil }
    return index.matches(spelled.keySegments).first
  }

  private struct OpenInstance: Hashable {
    let rule: Int
    let binding: KeyPattern.Binding
  }

  /// Adds what one instance of a rule yields to `results`.
  private func apply(
    _ instance: Instance, of source: Entries, to results: inout [(key: String, value: StateDict.Value)],
    _ findings: inout Findings
  ) {
    if let mapping = mappings[instance.rule] {
      do throws(RuleFailure) { try mapping.apply(to: instance, of: source, results: &results) } catch {
        fail(error.message, of: instance, in: source, &findings)
      }
    } else if case .leave(.refuse(let reason)) = rules[instance.rule].action,
      instance.positions.contains(where: { $0.map { source.values[$0] } != .other(.none) })
    {
      fail(reason, .configNotConvertible, of: instance, in: source, &findings)
    }
  }

  private func fail(
    _ message: String, _ kind: ErrorKind = .stateDictMismatch, of instance: Instance, in source: Entries,
    _ findings: inout Findings
  ) {
    let subject = instance.subject(in: source)
    findings.failures.append(
      Diagnostic(.error, kind, .tensor(subject), "\(subject): \(message)", origin: rules[instance.rule].origin))
  }

  /// Keys without the prefix that files of a release may or may not carry; `prefixed` learns which had it.
  private func withoutPrefix(
    _ source: OrderedDictionary<String, StateDict.Value>, _ prefixed: inout Set<String>, _ findings: inout Findings
  ) throws(ConversionError) -> OrderedDictionary<String, StateDict.Value> {
    let prefix = Model.optionalPrefix
    guard source.keys.contains(where: { $0.hasPrefix(prefix) }) else { return source }
    var stripped = OrderedDictionary<String, StateDict.Value>(minimumCapacity: source.count)
    var pacer = Interruption.Pacer()
    for (key, value) in source {
      try pacer.step()
      let short = key.hasPrefix(prefix) ? String(key.dropFirst(prefix.count)) : key
      if short.utf8.count < key.utf8.count { prefixed.insert(short) }
      if stripped.updateValue(value, forKey: short) != nil {
        findings.failures.append(
          Diagnostic(
            .error, .stateDictMismatch, .tensor(key), "'\(short)' stands in the checkpoint with and without '\(prefix)'"
          ))
      }
    }
    return stripped
  }

  /// Fills keys that are None, or missing where such are added, from the tensors they are shared with; answers which.
  private func resolveTies(
    _ values: inout OrderedDictionary<String, StateDict.Value>, side: Side, addsMissing: Bool
  ) -> [(key: String, twin: String, rule: Rule)] {
    var filled: [(key: String, twin: String, rule: Rule)] = []
    for rule in rules {
      guard case .relate(.tie(side, let key, let twin, let condition, let isWritten)) = rule.action,
        condition.map(context.holds) ?? true, addsMissing || isWritten || values[key] != nil,
        values[key]?.tensor == nil, let shared = values[twin], shared.tensor != nil
      else { continue }
      values[key] = shared
      filled.append((key, twin, rule))
    }
    return filled
  }

  /// Finds every key without which the target would not be the same model.
  private func checkNeeds(_ source: OrderedDictionary<String, StateDict.Value>, _ findings: inout Findings) {
    for rule in rules {
      guard case .relate(.need(from, let key, let reason)) = rule.action, source[key]?.tensor == nil else { continue }
      findings.failures.append(
        Diagnostic(
          .error, .configNotConvertible, .tensor(key), "'\(key)' is not in the checkpoint: \(reason)",
          origin: rule.origin))
    }
  }

  /// Writes one copy of each tensor for each layer that the output has.
  private func writeRepeats(
    _ repeats: [Instance], of source: Entries, to output: inout OrderedDictionary<String, StateDict.Value>
  ) throws(ConversionError) {
    var pacer = Interruption.Pacer()
    for instance in repeats {
      guard case .repeated(_, let hole, let beside)? = rules[instance.rule].transform,
        let place = instance.positions.first ?? nil
      else { continue }
      let layers = PatternIndex([(PatternIndex.Slot(rule: instance.rule, position: 0), beside)])
      for key in Array(output.keys) {
        try pacer.step()
        guard let binding = layers.matches(key.keySegments).first?.binding, let layer = binding[hole],
          binding.agrees(with: instance.binding, except: hole)
        else { continue }
        for pattern in rules[instance.rule].claims(from.other) {
          output[pattern.fill(instance.binding.with(hole, layer))] = source.values[place]
        }
      }
    }
  }

  private func generateBuffers(
    _ output: inout OrderedDictionary<String, StateDict.Value>, _ findings: inout Findings
  ) throws(ConversionError) {
    var anchors: [(PatternIndex.Slot, KeyPattern)] = []
    for (number, rule) in rules.enumerated() {
      guard case .make(.generate(from.other, let beside, _)) = rule.action else { continue }
      anchors.append((PatternIndex.Slot(rule: number, position: 0), beside))
    }
    guard !anchors.isEmpty else { return }
    let index = PatternIndex(anchors)
    let tails = Set(anchors.map { $0.1.literalTail })
    var pacer = Interruption.Pacer()
    for key in Array(output.keys) {
      try pacer.step()
      // Few keys have such an end, and splitting the others would cost more than all the rest.
      guard tails.contains(where: key.hasSuffix) else { continue }
      for (slot, binding) in index.matches(key.keySegments) {
        let rule = rules[slot.rule]
        guard case .make(.generate(_, _, let recipe)) = rule.action else { continue }
        do throws(RuleFailure) {
          let tensor = try Self.tensor(recipe.generator(context))
          for pattern in rule.claims(from.other) { output[pattern.fill(binding)] = .tensor(tensor) }
        } catch {
          findings.failures.append(
            Diagnostic(.error, .stateDictMismatch, .tensor(key), "\(key): \(error.message)", origin: rule.origin))
        }
      }
    }
  }

  private func drawHeads(_ output: inout OrderedDictionary<String, StateDict.Value>, _ findings: inout Findings) {
    for rule in rules {
      guard case .make(.draw(let drawing)) = rule.action, drawing.side == from.other, output[drawing.key] == nil,
        !(drawing.unless.map { pattern in output.keys.contains { pattern.match($0.keySegments) != nil } }
          ?? false)
      else { continue }
      let key = drawing.key
      do throws(RuleFailure) {
        let shape = try shape(drawing.shape, like: drawing.template, in: output)
        let (generator, choice): (ElementGenerator, String) =
          switch drawing.distribution {
          case .zeros: (.zeros(shape: shape), "set to zero")
          case .normal(let deviation):
            (
              .normal(shape: shape, standardDeviation: deviation, seed: Self.seed(key)),
              "drawn at random (normal, mean 0, std \(deviation), fixed seed)"
            )
          case .uniform(let fanIn):
            (
              .uniform(shape: shape, bound: 1 / Float(try context.length(fanIn)).squareRoot(), seed: Self.seed(key)),
              "drawn at random (uniform, fixed seed)"
            )
          }
        output[key] = .tensor(try Self.tensor(generator))
        let finding = Diagnostic(
          .warning, .stateDictMismatch, .tensor(key),
          "\(key) does not exist in the source; \(target) needs it, so it is \(choice)", origin: rule.origin)
        findings.warnings.append(finding)
        findings.deviations.append(finding)
      } catch {
        findings.failures.append(
          Diagnostic(.error, .stateDictMismatch, .tensor(key), "\(key): \(error.message)", origin: rule.origin))
      }
    }
  }

  /// A tensor that no source holds. Throws when the config makes it larger than any tensor may be.
  private static func tensor(_ generator: ElementGenerator) throws(RuleFailure) -> SymbolicTensor {
    do throws(SymbolicTensor.ShapeError) { return try SymbolicTensor(generated: generator) } catch {
      throw RuleFailure(error.message)
    }
  }

  /// The shape of a drawn tensor. Throws when the config gives none, or one that does not fit the tensor beside it.
  private func shape(
    _ dimensions: [Dimension], like template: DrawTemplate?, in output: OrderedDictionary<String, StateDict.Value>
  ) throws(RuleFailure) -> [Int] {
    let model = template.flatMap { output[$0.key]?.tensor?.shape.prefix(dimensions.count) }.map(Array.init)
    if let model, template?.overridesConfig ?? false, model.count == dimensions.count { return model }
    var shape: [Int] = []
    for dimension in dimensions { shape.append(try context.length(dimension)) }
    if let model, let template, model != shape {
      throw RuleFailure("the config asks for shape \(shape), but '\(template.key)' has \(model)")
    }
    return shape
  }

  /// A seed that depends on the key alone (FNV-1a), so that equal jobs draw equal heads and two heads differ.
  private static func seed(_ key: String) -> UInt64 {
    key.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }
}
