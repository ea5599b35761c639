import OrderedCollections

/// Compares a checkpoint with the model that its config describes: nothing missing, nothing spare, nothing of another shape.
///
/// What a complete checkpoint is follows from the shapes that the rules declare, see `DeclaredShape`. Rules without a
/// declaration are not looked at.
struct Completeness {
  let rules: [Rule]
  let side: Side
  let context: RuleContext
  /// What the source's config calls the keys that rules ask for, where it has another name for them.
  private let sourceNames: [String: [String]]

  /// Tensors of a model at most, if a config alone describes it.
  static let mostExpected = 1 << 20
  /// Keys at most that are named as missing for one rule. A config may ask for more layers than memory has room for.
  static let mostMissing = 1_000

  /// Rules of a hop that is read from a side. With the hop's rules for configs, messages name the keys of that side's config.
  init(rules: [Rule], from side: Side, context: RuleContext, config: [ConfigRule] = []) {
    self.rules = rules
    self.side = side
    self.context = context
    var names: [String: [String]] = [:]
    for rule in config {
      let own = rule.claimedKeys(on: side)
      guard !own.isEmpty else { continue }
      for key in rule.claimedKeys(on: side.other) where names[key] == nil { names[key] = own }
    }
    for key in config.flatMap({ $0.claimedKeys(on: side) }) { names[key] = nil }
    sourceNames = names
  }

  /// Config keys in a list, each as the config of the source calls it where a rule says so.
  private func named(_ keys: [String]) -> String {
    OrderedSet(keys.flatMap { sourceNames[$0] ?? [$0] }).joined(separator: ", ")
  }

  /// What of the config a declaration depends on, in brackets.
  private func because(_ declaration: Declaration) -> String {
    let counts = declaration.counts.filter { !$0.count.keys.isEmpty }
      .map { "\(named($0.count.keys)) is \($0.count.length)" }
    let parts = [named(declaration.keys)].filter { !$0.isEmpty } + counts
    return parts.isEmpty ? "" : " (\(parts.joined(separator: "; ")))"
  }

  /// Why a tensor that could be tied to another one has to be there; empty when it could not be.
  private func untied(_ key: String) -> String {
    for rule in rules {
      guard case .relate(.tie(side, key, let twin, let condition?, _)) = rule.action, !context.holds(condition) else {
        continue
      }
      return ". By the config's \(named(condition.keys)) it is another tensor than '\(twin)'"
    }
    return ""
  }

  /// A key that a complete checkpoint has.
  struct Expected: Sendable, Hashable {
    let key: String
    let shape: [Int]
  }

  /// Every tensor of a complete checkpoint under its first key, with its shape; one that is tied to another is left out,
  /// as is what may be missing.
  ///
  /// Throws when the config lacks a value that a shape needs, or describes more than `mostExpected` tensors.
  /// Complexity: O(keys).
  func expected() throws(RuleFailure) -> [Expected] {
    var keys: OrderedDictionary<String, [Int]> = [:]
    for rule in rules {
      guard let declaration = try Declaration(rule, side, context, groups: nil) else { continue }
      let isPacked = if case .pack? = rule.transform { true } else { false }
      let patterns = isPacked ? rule.claims(side) : Array(rule.claims(side).prefix(1))
      for (position, pattern) in patterns.enumerated() {
        let bindings = declaration.bindings(of: pattern)
        guard bindings.total <= Self.mostExpected - keys.count else {
          throw RuleFailure(
            "The config describes a model of more than \(Self.mostExpected) tensors\(because(declaration)).")
        }
        for binding in bindings {
          keys[pattern.fill(binding)] = declaration.shape(position, binding)
        }
      }
    }
    for rule in rules {
      guard case .relate(.tie(side, let key, let twin, let condition, _)) = rule.action, keys[twin] != nil,
        condition.map(context.holds) ?? true
      else { continue }
      keys[key] = nil
    }
    return keys.map { Expected(key: $0.key, shape: $0.value) }
  }

  /// Compares the keys that met the rules with what is expected. Throws nothing but `.cancelled`.
  func check(
    _ instances: [StateDictPlanner.Instance], in source: StateDictPlanner.Entries,
    _ findings: inout [Diagnostic]
  ) throws(ConversionError) {
    guard rules.contains(where: { $0.shape != nil }) else { return }
    var byRule = [[Int]](repeating: [], count: rules.count)
    for (position, instance) in instances.enumerated() where rules[instance.rule].shape != nil {
      byRule[instance.rule].append(position)
    }
    let groups = Set(
      rules.indices.filter { !byRule[$0].isEmpty }.compactMap { rules[$0].shape?.presence.group(on: side) })
    var complaints: Set<String> = []
    var pacer = Interruption.Pacer()
    for (number, rule) in rules.enumerated() {
      let declaration: Declaration
      do throws(RuleFailure) {
        guard let known = try Declaration(rule, side, context, groups: groups) else { continue }
        declaration = known
      } catch {
        if complaints.insert(error.message).inserted {
          findings.append(
            Diagnostic(
              .error, .stateDictMismatch, .conversion,
              "The checkpoint cannot be compared with the config: \(error.message)", origin: rule.origin))
        }
        continue
      }
      let found = byRule[number]
      for position in found {
        try pacer.step()
        judge(instances[position], of: source, rule, declaration, &findings)
      }
      // Mirrors and parts share their bindings, so the first pattern speaks for all.
      guard let pattern = rule.claims(side).first else { continue }
      let demanded = declaration.bindings(of: pattern)
      // Nearly always all are there, which counting shows without making a key for each.
      if found.count == demanded.total, !declaration.isStacked,
        found.allSatisfy({ instances[$0].holdsTensor(of: source) && demanded.contains(instances[$0].binding) })
      {
        continue
      }
      var present: Set<String> = []
      for instance in found.map({ instances[$0] }) {
        try pacer.step()
        if case .stack(let hole, _)? = rule.transform, declaration.isStacked {
          for case (let number, let place?) in zip(instance.numbers, instance.positions)
          where source.values[place].isTensor {
            present.insert(pattern.fill(instance.binding.with(hole, String(number))))
          }
        } else if instance.holdsTensor(of: source) {
          present.insert(pattern.fill(instance.binding))
        }
      }
      var missing = 0
      for binding in demanded {
        try pacer.step()
        let key = pattern.fill(binding)
        guard !present.contains(key) else { continue }
        missing += 1
        guard missing <= Self.mostMissing else {
          findings.append(
            Diagnostic(
              .error, .stateDictMismatch, .conversion,
              "More keys like '\(key)' are missing than are named here\(because(declaration))", origin: rule.origin))
          break
        }
        findings.append(
          Diagnostic(
            .error, .stateDictMismatch, .tensor(key),
            "'\(key)' is missing: the config describes a model with this tensor, of shape "
              + "\(declaration.shape(0, binding))\(because(declaration))\(untied(key))", origin: rule.origin))
      }
    }
  }

  /// Compares one instance's numbers and shapes.
  private func judge(
    _ instance: StateDictPlanner.Instance, of source: StateDictPlanner.Entries, _ rule: Rule,
    _ declaration: Declaration, _ findings: inout [Diagnostic]
  ) {
    for (hole, count) in declaration.bounds {
      guard let text = instance.binding[hole], let number = Int(text), number >= count.length else { continue }
      let key = instance.subject(in: source)
      findings.append(
        Diagnostic(
          .error, .stateDictMismatch, .tensor(key),
          "\(key) is spare: the config says that there are \(count.length) (\(named(count.keys))), counted from 0",
          origin: rule.origin))
      return
    }
    let isBias = instance.binding["leaf"] == "bias"
    for (position, place) in instance.positions.enumerated() {
      guard let place, let tensor = source.values[place].tensor else { continue }
      let shape = declaration.shape(declaration.isStacked ? 0 : position, isBias: isBias)
      guard tensor.shape != shape else { continue }
      let key = source.keys[place]
      findings.append(
        Diagnostic(
          .error, .stateDictMismatch, .tensor(key),
          "\(key) has shape \(tensor.shape), but the config says \(shape)\(because(declaration))",
          origin: rule.origin))
    }
  }
}

extension Completeness {
  /// The declaration of one rule with the values of the configs put in.
  fileprivate struct Declaration {
    private let shapes: [Rule.ExpectedShape]
    /// How many numbers each hole takes, and the config keys that say so.
    let counts: [(hole: String, count: (length: Int, keys: [String]))]
    /// How many numbers each hole may take.
    let bounds: [(hole: String, count: (length: Int, keys: [String]))]
    private let demandsWhole: Bool
    private let demandsBias: Bool
    /// The config keys that the shape comes from.
    let keys: [String]
    /// True when the values of an instance are the numbers of one pattern.
    let isStacked: Bool

    /// Nil for a rule that declares nothing for the side. Of `groups` some keys are there; nil takes all to be there.
    init?(_ rule: Rule, _ side: Side, _ context: RuleContext, groups: Set<String>?) throws(RuleFailure) {
      guard let shape = rule.shape, !rule.claims(side).isEmpty,
        let shapes = try rule.expectedShapes(on: side, context)
      else { return nil }
      self.shapes = shapes
      var counts: [(hole: String, count: (length: Int, keys: [String]))] = []
      for (hole, dimension) in shape.counts.sorted(by: { $0.key < $1.key }) {
        counts.append((hole, (try context.length(dimension), dimension.keys)))
      }
      isStacked = if case .stack? = rule.transform { side == .left } else { false }
      if case .stack(let hole, let count)? = rule.transform, side == .left {
        counts.append((hole, (try context.length(count), count.keys)))
      }
      bounds = counts
      // Only the first copy of a repeated tensor is read, so the others may be missing.
      if case .repeated(side, let hole, _)? = rule.transform {
        counts.removeAll { $0.hole == hole }
        counts.append((hole, (1, [])))
      }
      self.counts = counts
      func exists(_ presence: DeclaredShape.Presence) -> Bool {
        if case .when(let condition) = presence { context.holds(condition) } else { true }
      }
      let whole = exists(shape.presence)
      // A drawn tensor is dropped on the way out, so nobody misses it.
      let isDrawn = if case .make = rule.action { true } else { false }
      let isInGroup = shape.presence.group(on: side).map { groups?.contains($0) ?? true } ?? true
      demandsWhole = whole && shape.presence != .optional && isInGroup && !isDrawn
      demandsBias = demandsWhole && exists(shape.bias) && shape.bias != .optional
      keys = shape.axes.joined().flatMap(\.keys)
    }

    func shape(_ position: Int, _ binding: KeyPattern.Binding) -> [Int] {
      shape(position, isBias: binding["leaf"] == "bias")
    }

    func shape(_ position: Int, isBias: Bool) -> [Int] {
      let shape = shapes[min(position, shapes.count - 1)]
      return isBias ? shape.bias : shape.whole
    }

    /// Every binding of a pattern without which a checkpoint is incomplete; none when a hole has no count.
    func bindings(of pattern: KeyPattern) -> Bindings {
      var holes: [Bindings.Hole] = []
      var demanded = demandsWhole
      for hole in pattern.orderedHoles {
        if let words = hole.words {
          let texts = words.filter { hole.name != "leaf" || ($0 == "bias" ? demandsBias : demandsWhole) }
          holes.append(.init(name: hole.name, count: texts.count, words: texts))
        } else if let count = counts.first(where: { $0.hole == hole.name })?.count.length {
          holes.append(.init(name: hole.name, count: count, words: nil))
        } else {
          demanded = false
        }
      }
      return Bindings(holes: holes, exist: demanded)
    }
  }

  /// Every combination of what the holes of a pattern can stand for, made one at a time; the last hole changes first.
  fileprivate struct Bindings: Sequence, IteratorProtocol {
    struct Hole {
      let name: String
      let count: Int
      /// What it can stand for; nil for the numbers from 0.
      let words: [String]?

      func text(_ number: Int) -> String { words.map { $0[number] } ?? String(number) }

      func takes(_ text: String) -> Bool {
        if let words { return words.contains(text) }
        // A number with zeros in front is another key.
        guard let number = Int(text), number < count else { return false }
        return text.utf8.first != UInt8(ascii: "0") || text.utf8.count == 1
      }
    }

    private let holes: [Hole]
    /// How many there are; `Int.max` for more than that.
    let total: Int
    private var number = 0

    /// Without `exist` there are none, whatever the holes are.
    init(holes: [Hole], exist: Bool) {
      self.holes = holes
      total = holes.reduce(exist ? 1 : 0) { total, hole in
        let (product, overflow) = total.multipliedReportingOverflow(by: Swift.max(hole.count, 0))
        return overflow ? .max : product
      }
    }

    func contains(_ binding: KeyPattern.Binding) -> Bool {
      holes.allSatisfy { hole in binding[hole.name].map(hole.takes) ?? false }
    }

    mutating func next() -> KeyPattern.Binding? {
      guard number < total else { return nil }
      var rest = number
      number += 1
      var binding = KeyPattern.Binding()
      for hole in holes.reversed() {
        binding[hole.name] = hole.text(rest % hole.count)
        rest /= hole.count
      }
      return binding
    }
  }
}

extension DeclaredShape.Presence {
  /// The group of keys that stand on a side together or not at all; nil for keys that depend on no others there.
  fileprivate func group(on side: Side) -> String? {
    if case .allOrNone(side, let group) = self { group } else { nil }
  }
}

extension StateDictPlanner.Instance {
  /// True when one of its keys holds a tensor, and not None.
  fileprivate func holdsTensor(of source: StateDictPlanner.Entries) -> Bool {
    positions.contains { $0.map { source.values[$0].isTensor } ?? false }
  }
}
