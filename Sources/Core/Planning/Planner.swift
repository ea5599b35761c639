public import OrderedCollections

/// Turns a config and the object tree of a checkpoint into a plan, or into every reason why there is none.
///
/// Pure: no file is read here. Planning looks at names, shapes and config values only.
public enum Planner {
  /// What to do where the input is not quite what the format says.
  public struct Options: Sendable, Hashable {
    /// Leave out keys that no rule matches, instead of failing.
    public var dropUnmatchedKeys = false
    /// Precision of the floating-point tensors of the state dict. Optimizer state keeps its own.
    public var precision = Precision.keep
    /// The container cannot nest, as safetensors: a Model Zoo checkpoint in it is a bare state dict.
    public var containerIsFlat = false

    /// The defaults.
    public init() {}
  }

  /// Plans the conversion of a config alone.
  public static func plan(config: ConfigObject, along route: Route) throws(ConversionError) -> Plan {
    let outcome = try ConfigPlanner.convert(config, along: route)
    return Plan(
      route: route, tree: nil, tensors: [], sources: [:], config: outcome.document, warnings: outcome.warnings)
  }

  /// Plans the conversion of a checkpoint and its config.
  ///
  /// Throws `.configNotConvertible` (also for tensors that the target cannot express), `.keysUnmatched` (with a diagnostic
  /// for each key), `.stateDictMismatch` or `.unreadableInput` when the tree holds no state dict.
  public static func plan(
    config: ConfigObject, checkpoint: ObjectTree<TensorDescriptor>, along route: Route, options: Options = Options()
  ) throws(ConversionError) -> Plan {
    var outcome = try ConfigPlanner.convert(config, along: route)
    var content = try CheckpointContent(
      checkpoint, format: route.source, bareAllowed: route.target.isCS || options.containerIsFlat,
      known: KnownKeys(route.model, in: route.source))
    if route.target == .hf, outcome.input["sparsity"]?.isTruthyInPython ?? false {
      // A sparse Model Zoo checkpoint marks pruned weights with NaN; Hugging Face knows dense weights only.
      content.stateDict.values = content.stateDict.values.mapValues { value in
        value.tensor.map { .tensor($0.mapped(.nanToZero)) } ?? value
      }
    }

    let sourceKeys = content.stateDict.values.keys
    var warnings = outcome.warnings
    var failures: [Diagnostic] = []
    var droppedKeys = false
    var deviations: [Diagnostic] = []
    if let warning = content.wrapperWarning { warnings.append(warning) }
    if let wrapper = content.wrapper {
      let finding = Diagnostic(
        .warning, .stateDictMismatch, .conversion,
        "The state dict was found under '\(wrapper)'; what is around it is left out")
      warnings.append(finding)
      deviations.append(finding)
    }
    var unmatched: [String] = []
    var entries = content.otherEntries
    var prefix = route.optionalPrefix
    for step in outcome.steps {
      var findings = StateDictPlanner.Findings()
      let planner = StateDictPlanner(step: step, optionalPrefix: step.hop.keepsPrefix ? nil : prefix)
      content.stateDict = try planner.convert(content.stateDict, findings: &findings)
      if !step.hop.keepsPrefix { prefix = nil }
      let ignored = IgnoredByTransformers.keys(among: findings.unmatched, along: route)
      if let warning = IgnoredByTransformers.warning(findings.unmatched.filter(ignored.contains), along: route) {
        warnings.append(warning)
      }
      findings.unmatched.removeAll(where: ignored.contains)
      for short in findings.unmatched {
        // The user knows the key as it stands in the file.
        let long = (route.optionalPrefix ?? "") + short
        let key = !sourceKeys.contains(short) && sourceKeys.contains(long) ? long : short
        unmatched.append(key)
        let finding = Diagnostic(
          options.dropUnmatchedKeys ? .warning : .error, .keysUnmatched, .tensor(key), "Key not matched: \(key)")
        if options.dropUnmatchedKeys { warnings.append(finding) } else { failures.append(finding) }
      }
      droppedKeys = droppedKeys || !findings.unmatched.isEmpty
      failures += findings.failures
      warnings += findings.warnings
      deviations += findings.deviations
      switch step.hop {
      case .bridge: entries = []
      case .revision(let revision, _):
        if case .drop(let reason) = revision.entries, !entries.isEmpty {
          entries = []
          warnings.append(Diagnostic(.warning, .stateDictMismatch, .conversion, reason))
        }
      }
    }
    let isNothingLeft = droppedKeys && unmatched.count == content.keyCount
    if !failures.isEmpty || isNothingLeft {
      let causes = UnmatchedCauses(keys: unmatched, of: content.keyCount, along: route).explanation
      throw failure(
        failures, warnings: warnings, causes: causes, keys: content.keyCount, dropsAll: isNothingLeft,
        route: route)
    }
    if droppedKeys {
      warnings.append(
        Diagnostic(
          .warning, .keysUnmatched, .conversion,
          "proceeding even though some keys weren't matched because of --drop-unmatched-keys"))
    }
    if !entries.isEmpty {
      let fileKeys = sourceKeys.map { content.wrappedKeys[$0] ?? $0 }
      entries = OptimizerMigration(sources: fileKeys, converted: content.stateDict).migrated(
        entries, warnings: &warnings)
    }
    if let dtype = options.precision.dtype {
      content.stateDict.values = content.stateDict.values.mapValues { value in
        value.tensor.map { .tensor($0.cast(to: dtype)) } ?? value
      }
      if route.target == .hf {
        for key in ["torch_dtype", "dtype"] where outcome.document[key] != nil {
          outcome.document[key] = .string(dtype.rawValue)
        }
      }
    }
    var plan = try assemble(content, entries: entries, outcome: outcome, warnings: warnings, route: route)
    plan.deviations = deviations
    return plan
  }

  private static func failure(
    _ failures: [Diagnostic], warnings: [Diagnostic], causes: String?, keys: Int, dropsAll: Bool,
    route: Route
  ) -> ConversionError {
    let cause = causes.map { [Diagnostic(.error, .keysUnmatched, .conversion, $0)] } ?? []
    if dropsAll {
      let message =
        "Not one key is a \(route.source) key of \(route.model.name): --drop-unmatched-keys would leave nothing of the model. "
        + (causes ?? "Check --model and --src-fmt.")
      return ConversionError(.keysUnmatched, message, diagnostics: cause + failures + warnings)
    }
    let unmatched = failures.count { $0.kind == .keysUnmatched }
    guard unmatched > 0 else {
      let unsupported = failures.contains { $0.kind == .configNotConvertible }
      let message = failures.map(\.message).joined(separator: "\n")
      return ConversionError(
        unsupported ? .configNotConvertible : .stateDictMismatch,
        unsupported ? "ConfigConversionError: \(message)" : message, diagnostics: warnings + failures)
    }
    var message = "Unable to match all keys. If you want to proceed by dropping keys that couldn't be matched, "
    message += "rerun with --drop-unmatched-keys."
    if let causes {
      message += " \(causes)"
    } else if unmatched == keys {
      message += " Not one key is a \(route.source) key of \(route.model.name): check --model and --src-fmt."
    }
    return ConversionError(.keysUnmatched, message, diagnostics: cause + failures + warnings)
  }

  /// Numbers the tensors and builds the output's object tree around them.
  private static func assemble(
    _ content: CheckpointContent, entries: [ObjectTree<SymbolicTensor>.Entry], outcome: ConfigPlanner.Outcome,
    warnings: [Diagnostic], route: Route
  ) throws(ConversionError) -> Plan {
    var tensors: [Plan.Tensor] = []
    func numbered(_ tree: ObjectTree<SymbolicTensor>, key: String) -> ObjectTree<Int> {
      tree.mapTensors { tensor in
        tensors.append(Plan.Tensor(key: key, tensor: tensor))
        return tensors.count - 1
      }
    }
    var state: [ObjectTree<Int>.Entry] = []
    state.reserveCapacity(content.stateDict.values.count)
    var pacer = Interruption.Pacer()
    for (key, value) in content.stateDict.values {
      try pacer.step()
      let tree: ObjectTree<SymbolicTensor> =
        switch value {
        case .tensor(let tensor): .tensor(tensor)
        case .other(let tree): tree
        }
      state.append(.init(.string(key), numbered(tree, key: key)))
    }
    let stateTree = ObjectTree<Int>.dictionary(state, ordered: true)
    let tree: ObjectTree<Int>
    if route.target == .hf || content.isBare {
      tree = stateTree
    } else {
      let others = entries.map { entry in
        ObjectTree<Int>.Entry(entry.key.retyped(), numbered(entry.value, key: entry.key.description))
      }
      tree = .dictionary([.init(.string("model"), stateTree)] + others, ordered: false)
    }
    let limit = Limits.standard.outputBytes
    guard tensors.lazy.map(\.tensor.byteCount).saturatingSum() <= limit else {
      throw ConversionError(
        .hostileInput,
        "The tensors to be written have more than \(limit) bytes together. Compare the sizes in the config and the shapes in "
          + "the checkpoint with the model")
    }
    return Plan(
      route: route, tree: tree, tensors: tensors, sources: content.descriptors, config: outcome.document,
      warnings: warnings)
  }
}
