import OrderedCollections

/// What a release changed in the entries beside the state dict: optimizer, learning rate scheduler, masks.
enum EntryRule: String, Sendable, Hashable, CaseIterable {
  /// Up: the masks of sparse weights move from `optimizer.sparsity.state.<weight>.mask` to `<weight>_mask` of the state
  /// dict, and `sparsity` takes the step and the position of each weight in its schedule. Release 2.2.
  case sparsityMasks
}

/// The entries beside the state dict together with the state dict, for rules that move values between them.
struct CheckpointEntries: Sendable {
  /// A tree whose tensors are symbolic.
  typealias Tree = ObjectTree<SymbolicTensor>

  /// The entries, in their order.
  var entries: [Tree.Entry]
  var stateDict: StateDict
  /// What the user should know.
  var warnings: [Diagnostic] = []

  /// The entries of a checkpoint.
  init(_ entries: [Tree.Entry], stateDict: StateDict) {
    self.entries = entries
    self.stateDict = stateDict
  }

  /// Applies the rules of a revision. `side` is the side that the entries are of. Complexity: O(entries).
  mutating func apply(_ rules: [EntryRule], from side: Side) {
    for rule in side == .older ? rules : rules.reversed() {
      switch (rule, side) {
      case (.sparsityMasks, .left): moveMasks()
      case (.sparsityMasks, .right): nameMasks()
      }
    }
  }

  /// Makes `lr_scheduler.last_epoch` what `global_step` says. Checkpoints of releases before 2.0 may differ there, and
  /// later releases compute the learning rate from it. Numbers only; a tensor is left as it is.
  mutating func repairLastEpoch() {
    guard case .int(let step)? = self["global_step"], let scheduler = entryIndex("lr_scheduler"),
      case .int(let epoch)? = entries[scheduler].value["last_epoch"], epoch != step
    else { return }
    entries[scheduler].value.put(.int(step), under: "last_epoch")
  }

  /// Appends to `__metadata__` what a conversion made: release, model name (which no release fills) and params document.
  mutating func appendMetadata(_ release: Release, params: ConfigObject) {
    let record = Tree.dictionary(
      [
        .init(.string("version"), .string("\(release.major).\(release.minor).0")),
        .init(.string("model_name"), .string("")),
        .init(.string("params"), Tree(ConfigValue.object(params))),
      ], ordered: false)
    guard let index = entryIndex("__metadata__") else {
      entries.append(.init(.string("__metadata__"), .list([record])))
      return
    }
    switch entries[index].value {
    case .list(let records): entries[index].value = .list(records + [record])
    case let other: entries[index].value = .list([other, record])
    }
  }

  /// True when a conversion between two formats appends to `__metadata__`.
  ///
  /// Release 1.6 keeps nothing beside the state dict. Releases up to 1.8 do not know the entry: between them only
  /// checkpoints that have one already get one.
  func takesMetadata(from source: Format, to target: Format) -> Bool {
    guard case .cs(let target) = target else { return false }
    let source: Release = if case .cs(let source) = source { source } else { target }
    guard min(source, target) > Release(1, 6) else { return false }
    return max(source, target) > Release(1, 8) || entryIndex("__metadata__") != nil
  }

  /// The value of an entry; nil when there is none.
  subscript(_ name: String) -> Tree? { entryIndex(name).map { entries[$0].value } }

  private func entryIndex(_ name: String) -> Int? { entries.firstIndex { $0.key == .string(name) } }

  private mutating func moveMasks() {
    guard let optimizer = entryIndex("optimizer"), let sparsity = entries[optimizer].value["sparsity"],
      case .dictionary(let states, _)? = sparsity["state"]
    else { return }
    for state in states {
      guard let mask = state.value["mask"] else { continue }
      let name = state.key.description
      guard stateDict.values[name] != nil else {
        warn(
          .tensor(name),
          "The sparsity mask of \(name) is left out: the state dict has no such tensor, so there is nothing that it masks."
        )
        continue
      }
      if case .tensor(let tensor) = mask {
        stateDict.values["\(name)_mask"] = .tensor(tensor)
      } else {
        stateDict.values["\(name)_mask"] = .other(mask)
      }
    }
    entries[optimizer].value.put(nil, under: "sparsity")
    var moved: [Tree.Entry] = []
    if let step = sparsity["step"] { moved.append(.init(.string("step"), step)) }
    let positions = Self.positions(in: sparsity)
    if !positions.isEmpty { moved.append(.init(.string("sparsity"), .dictionary(positions, ordered: false))) }
    let value = Tree.dictionary(moved, ordered: false)
    if let index = entryIndex("sparsity") {
      entries[index].value = value
    } else {
      entries.append(.init(.string("sparsity"), value))
    }
  }

  /// `{weight: {"index": step of its schedule}}` for each weight of each group that follows a schedule.
  private static func positions(in sparsity: Tree) -> [Tree.Entry] {
    guard case .list(let groups)? = sparsity["param_groups"] else { return [] }
    var positions: OrderedDictionary<String, Tree> = [:]
    for group in groups {
      guard let step = group["sparsity"]?["step"], case .list(let names)? = group["param_names"] else { continue }
      for case .string(let name) in names {
        positions[name] = .dictionary([.init(.string("index"), step)], ordered: false)
      }
    }
    return positions.map { .init(.string($0.key), $0.value) }
  }

  private mutating func nameMasks() {
    let masks = stateDict.values.keys.filter {
      $0.hasSuffix("_mask") && stateDict.values[String($0.dropLast(5))] != nil
    }
    guard let first = masks.first, entryIndex("sparsity") != nil else { return }
    let others = masks.count > 1 ? " and \(masks.count - 1) more" : ""
    warn(
      .tensor(first),
      "Release 2.1 keeps sparsity masks in the optimizer and does not read \(first)\(others); they stay in the state dict."
    )
  }

  private mutating func warn(_ subject: Diagnostic.Subject, _ message: String) {
    warnings.append(Diagnostic(.warning, .stateDictMismatch, subject, message))
  }
}
