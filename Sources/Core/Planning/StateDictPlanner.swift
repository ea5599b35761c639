import OrderedCollections

/// Applies the tensor rules of one hop in one direction to a state dict. Pure: names and shapes in, expressions out.
///
/// Complexity: O(keys x segments), whatever the number of rules.
struct StateDictPlanner {
  let rules: [Rule]
  let from: Side
  let passesUnknownKeys: Bool
  /// A prefix that keys may carry, taken off before anything else.
  let optionalPrefix: String?
  let context: RuleContext
  /// The release or format that is written, for messages.
  let target: String

  /// What was found besides the result.
  struct Findings {
    var unmatched: [String] = []
    var failures: [Diagnostic] = []
    var warnings: [Diagnostic] = []
    /// Where the vendor's tool would have written something unusable, and what was done instead.
    var deviations: [Diagnostic] = []
  }

  init(step: ConfigPlanner.Step, optionalPrefix: String? = nil) {
    context = step.context
    self.optionalPrefix = optionalPrefix
    switch step.hop {
    case .bridge(let bridge, let side):
      rules = bridge.tensors
      from = side
      passesUnknownKeys = false
      target = side == .hf ? bridge.release.description : "hf"
    case .revision(let revision, let side):
      rules = revision.tensors
      from = side
      passesUnknownKeys = !revision.coversAllKeys
      target = revision.release.description
    }
  }

  /// A rule met by keys that agree on its holes.
  private struct Instance {
    let rule: Int
    let binding: KeyPattern.Binding
    var values: [(key: String, value: StateDict.Value)?]
  }

  /// The state dict of the other side. Throws nothing but `.cancelled`: whatever is wrong with the input is a finding.
  func convert(_ input: StateDict, findings: inout Findings) throws(ConversionError) -> StateDict {
    var source = input.values
    if let optionalPrefix { source = try withoutPrefix(optionalPrefix, source, &findings) }
    for (key, twin, rule) in resolveTies(&source, side: from, addsMissing: true) {
      findings.deviations.append(
        Diagnostic(
          .warning, .stateDictMismatch, .tensor(key),
          "\(key) is missing or None in the source; it is filled from \(twin), with which it is shared",
          origin: rule.origin))
    }
    checkNeeds(source, &findings)

    var output = OrderedDictionary<String, StateDict.Value>()
    output.reserveCapacity(source.count)
    var repeats: [Instance] = []
    var pacer = Interruption.Pacer()
    for instance in try collect(source, &findings, passing: &output) {
      try pacer.step()
      if case .repeated(from.other, _, _) = rules[instance.rule].transform {
        repeats.append(instance)
      } else {
        apply(instance, to: &output, &findings)
      }
    }
    try writeRepeats(repeats, to: &output)
    try generateBuffers(&output, &findings)
    drawHeads(&output, &findings)
    _ = resolveTies(&output, side: from.other, addsMissing: from.other == .cs)
    return StateDict(output)
  }

  /// Groups keys into rule instances, in the order in which their first keys come.
  private func collect(
    _ source: OrderedDictionary<String, StateDict.Value>, _ findings: inout Findings,
    passing output: inout OrderedDictionary<String, StateDict.Value>
  ) throws(ConversionError) -> [Instance] {
    let index = PatternIndex(
      rules.enumerated().flatMap { number, rule in
        rule.claims(from).enumerated().map { (PatternIndex.Slot(rule: number, position: $0), $1) }
      })
    var instances: [Instance] = []
    instances.reserveCapacity(source.count)
    var open: [OpenInstance: Int] = [:]
    let hasAliases = rules.contains { if case .alias(from, _, _) = $0.transform { true } else { false } }
    var pacer = Interruption.Pacer()
    for (key, value) in source {
      try pacer.step()
      guard let (slot, binding) = match(key, index, in: source) else {
        if passesUnknownKeys { output[key] = value } else { findings.unmatched.append(key) }
        continue
      }
      let arity = rules[slot.rule].claims(from).count
      if arity == 1, !hasAliases {
        instances.append(Instance(rule: slot.rule, binding: binding, values: [(key, value)]))
        continue
      }
      let identity = OpenInstance(rule: slot.rule, binding: binding)
      let position: Int
      if let known = open[identity] {
        position = known
      } else {
        position = instances.count
        open[identity] = position
        instances.append(Instance(rule: slot.rule, binding: binding, values: Array(repeating: nil, count: arity)))
      }
      instances[position].values[slot.position] = (key, value)
    }
    return instances
  }

  /// The rule that a key belongs to; an older spelling belongs to the rule of the spelling it stands for.
  private func match(
    _ key: String, _ index: PatternIndex, in source: OrderedDictionary<String, StateDict.Value>
  ) -> (slot: PatternIndex.Slot, binding: KeyPattern.Binding)? {
    guard let found = index.matches(key.split(separator: ".")).first else { return nil }
    guard case .alias(from, let spelling, let yields) = rules[found.slot.rule].transform else { return found }
    let spelled = spelling.fill(found.binding)
    if yields, source[spelled] != nil { return nil }
    return index.matches(spelled.split(separator: ".")).first
  }

  private struct OpenInstance: Hashable {
    let rule: Int
    let binding: KeyPattern.Binding
  }

  private func apply(
    _ instance: Instance, to output: inout OrderedDictionary<String, StateDict.Value>, _ findings: inout Findings
  ) {
    let rule = rules[instance.rule]
    let targets = rule.claims(from.other).map { $0.fill(instance.binding) }
    let subject = instance.values.compactMap { $0?.key }.first ?? ""
    func fail(_ message: String, _ kind: ErrorKind = .stateDictMismatch) {
      findings.failures.append(
        Diagnostic(.error, kind, .tensor(subject), "\(subject): \(message)", origin: rule.origin))
    }
    func emit(_ key: String, _ value: StateDict.Value) {
      if output.updateValue(value, forKey: key) != nil { fail("'\(key)' would be written twice") }
    }
    /// All the values, or nil after naming those that are missing.
    func complete() -> [StateDict.Value]? {
      var missing: [String] = []
      for (pattern, value) in zip(rule.claims(from), instance.values) where value == nil {
        missing.append("'\(pattern.fill(instance.binding))'")
      }
      if missing.isEmpty { return instance.values.compactMap { $0?.value } }
      fail("expected the following keys to exist: \(missing.joined(separator: ", "))")
      return nil
    }
    func tensors(_ values: [StateDict.Value]) -> [SymbolicTensor]? {
      let tensors = values.compactMap(\.tensor)
      if tensors.count == values.count { return tensors }
      fail("a tensor is needed here, but the checkpoint holds None or another value")
      return nil
    }

    do throws(RuleFailure) {
      switch rule.transform {
      case .rename:
        guard let value = instance.values.lazy.compactMap({ $0?.value }).first else { return }
        for key in targets { emit(key, value) }
      case .transposeMatrix:
        guard let value = instance.values.lazy.compactMap({ $0?.value }).first else { return }
        let moved = value.tensor.map { StateDict.Value.tensor($0.matrixTransposed) } ?? value
        for key in targets { emit(key, moved) }
      case .pack(let packing):
        guard let values = complete(), let operands = tensors(values) else { return }
        if from == .left {
          for (key, part) in zip(targets, try packing.unpack(operands[0], into: targets.count, context)) {
            emit(key, .tensor(part))
          }
        } else {
          emit(targets[0], .tensor(try packing.pack(operands, context)))
        }
      case .custom(let custom):
        let values = instance.values.map { $0?.value }
        let results = try from == .left ? custom.forward(values, context) : custom.backward(values, context)
        for (key, value) in zip(targets, results) { if let value { emit(key, value) } }
      case .repeated(_, let hole, _):
        guard instance.binding[hole] == "0", let value = instance.values.first ?? nil else { return }
        emit(targets[0], value.value)
      case .refuse(let reason):
        if instance.values.contains(where: { $0?.value != .other(.none) }) { fail(reason, .configNotConvertible) }
      case .leaveOut, .generate, .draw, .tie, .alias, .need: break
      }
    } catch { fail(error.message) }
  }

  /// Keys without the prefix that files of a release may or may not carry.
  private func withoutPrefix(
    _ prefix: String, _ source: OrderedDictionary<String, StateDict.Value>, _ findings: inout Findings
  ) throws(ConversionError) -> OrderedDictionary<String, StateDict.Value> {
    guard source.keys.contains(where: { $0.hasPrefix(prefix) }) else { return source }
    var stripped = OrderedDictionary<String, StateDict.Value>(minimumCapacity: source.count)
    var pacer = Interruption.Pacer()
    for (key, value) in source {
      try pacer.step()
      let short = key.hasPrefix(prefix) ? String(key.dropFirst(prefix.count)) : key
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
      guard case .tie(side, let key, let twin, let condition, let isWritten) = rule.transform,
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
      guard case .need(from, let key, let reason) = rule.transform, source[key]?.tensor == nil else { continue }
      findings.failures.append(
        Diagnostic(
          .error, .configNotConvertible, .tensor(key), "'\(key)' is not in the checkpoint: \(reason)",
          origin: rule.origin))
    }
  }

  /// Writes one copy of each tensor for each layer that the output has.
  private func writeRepeats(
    _ repeats: [Instance], to output: inout OrderedDictionary<String, StateDict.Value>
  ) throws(ConversionError) {
    var pacer = Interruption.Pacer()
    for instance in repeats {
      guard case .repeated(_, let hole, let beside) = rules[instance.rule].transform,
        let value = instance.values.first ?? nil
      else { continue }
      let layers = PatternIndex([(PatternIndex.Slot(rule: instance.rule, position: 0), beside)])
      for key in Array(output.keys) {
        try pacer.step()
        guard let binding = layers.matches(key.split(separator: ".")).first?.binding, let layer = binding[hole],
          binding.allSatisfy({ $0.key == hole || instance.binding[$0.key] == $0.value })
        else { continue }
        for pattern in rules[instance.rule].claims(from.other) {
          output[pattern.fill(instance.binding.merging([hole: layer]) { _, new in new })] = value.value
        }
      }
    }
  }

  private func generateBuffers(
    _ output: inout OrderedDictionary<String, StateDict.Value>, _ findings: inout Findings
  ) throws(ConversionError) {
    var anchors: [(PatternIndex.Slot, KeyPattern)] = []
    for (number, rule) in rules.enumerated() {
      guard case .generate(from.other, let beside, _) = rule.transform else { continue }
      anchors.append((PatternIndex.Slot(rule: number, position: 0), beside))
    }
    guard !anchors.isEmpty else { return }
    let index = PatternIndex(anchors)
    var pacer = Interruption.Pacer()
    for key in Array(output.keys) {
      try pacer.step()
      for (slot, binding) in index.matches(key.split(separator: ".")) {
        let rule = rules[slot.rule]
        guard case .generate(_, _, let recipe) = rule.transform else { continue }
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
      guard case .draw(from.other, let key, let dimensions, let template, let deviation) = rule.transform,
        output[key] == nil
      else { continue }
      do throws(RuleFailure) {
        let shape = try shape(dimensions, like: template, in: output)
        let generator: ElementGenerator =
          deviation == 0
          ? .zeros(shape: shape) : .normal(shape: shape, standardDeviation: deviation, seed: Self.seed(key))
        output[key] = .tensor(try Self.tensor(generator))
        let choice = deviation == 0 ? "set to zero" : "drawn at random (normal, mean 0, std \(deviation), fixed seed)"
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
