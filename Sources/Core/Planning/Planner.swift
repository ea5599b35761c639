import OrderedCollections

/// Turns a config and the object tree of a checkpoint into a plan, or into every reason why there is none.
///
/// Pure: no file is read here. Planning looks at names, shapes and config values only.
package enum Planner {
  /// What to do where the input is not quite what the format says.
  package struct Options: Sendable, Hashable {
    /// Leave out keys that no rule matches, instead of failing.
    package var dropUnmatchedKeys = false
    /// Convert a checkpoint that is not the whole model that its config describes, with warnings.
    package var allowIncomplete = false
    /// Precision of the floating-point tensors of the state dict. Optimizer state keeps its own.
    var precision = Precision.keep
    /// The container cannot nest, as safetensors: a Model Zoo checkpoint in it is a bare state dict.
    var containerIsFlat = false

    /// Write a composed model for Hugging Face as one checkpoint, not as a folder for each component.
    package var oneCheckpoint = false

    package init() {}
  }

  /// Plans the conversion of a config alone.
  package static func plan(config: ConfigObject, along route: Route) throws(ConversionError) -> Plan {
    let outcome = try ConfigPlanner.convert(config, along: route)
    return Plan(
      route: route, tree: nil, tensors: [], sources: [:], config: outcome.document,
      documents: documents(beside: outcome.document, along: route), warnings: outcome.warnings)
  }

  /// The checkpoint that a config describes: every tensor that a complete one has, in one precision, with no byte behind it.
  ///
  /// A config can be judged with it before there is a checkpoint. Throws what planning a config throws, and
  /// `.configNotConvertible` when the config lacks a value that a shape needs. Complexity: O(tensors).
  package static func described(
    by config: ConfigObject, along route: Route
  ) throws(ConversionError) -> ObjectTree<TensorDescriptor> {
    let outcome = try ConfigPlanner.convert(config, along: route)
    guard let step = try declaring(config, along: route, outcome) else {
      throw ConversionError(.usage, "Nothing declares the tensors of \(route.model.name) in \(route.source).")
    }
    let expected: [Completeness.Expected]
    do throws(RuleFailure) {
      let rules = step.hop.tensors.filter { $0.condition.map(step.context.holds) ?? true }
      expected = try Completeness(rules: rules, from: step.hop.from, context: step.context).expected()
    } catch {
      throw ConversionError(.configNotConvertible, "ConfigConversionError: \(error.message)")
    }
    let names = precisionKeys(along: route, in: route.source).compactMap { config.value(at: $0) }
    var dtype = DType.float32
    if case .string(let name)? = names.first, let named = DType(rawValue: name) { dtype = named }
    let entries = expected.enumerated().map { index, tensor in
      ObjectTree<TensorDescriptor>.Entry(
        .string(tensor.key), .tensor(TensorDescriptor(dtype: dtype, shape: tensor.shape, storage: StorageID(index))))
    }
    let state = ObjectTree<TensorDescriptor>.dictionary(entries, ordered: true)
    if route.source.isCS { return .dictionary([.init(.string("model"), state)], ordered: false) }
    let folders = route.folders(in: .hf)
    return folders.isEmpty
      ? state
      : .dictionary(folders.map { .init(.string($0), state.component($0)) }, ordered: true)
  }

  /// Where a config says in what precision its checkpoint is.
  private static func precisionKeys(along route: Route, in format: Format) -> [String] {
    (route.folders(in: format).map { "\($0)." } + [""]).flatMap { ["\($0)torch_dtype", "\($0)dtype"] }
  }

  /// The step whose rules declare what a complete checkpoint of the source is: the one to or from Hugging Face at the
  /// source's release, whatever the route is. Nil where there is none.
  ///
  /// Throws what converting the config to Hugging Face throws.
  private static func declaring(
    _ config: ConfigObject, along route: Route, _ outcome: ConfigPlanner.Outcome
  ) throws(ConversionError) -> ConfigPlanner.Step? {
    if let step = outcome.steps.first, case .bridge = step.hop { return step }
    guard let out = Route(model: route.model, source: route.source, target: .hf), case .bridge? = out.hops.first else {
      return nil
    }
    return try ConfigPlanner.convert(config, along: out).steps.first
  }

  /// Plans the conversion of a checkpoint and its config.
  ///
  /// Throws `.configNotConvertible` (also for tensors that the target cannot express), `.keysUnmatched` (with a diagnostic
  /// for each key), `.stateDictMismatch` or `.unreadableInput` when the tree holds no state dict.
  package static func plan(
    config: ConfigObject, checkpoint: ObjectTree<TensorDescriptor>, along route: Route, options: Options = Options()
  ) throws(ConversionError) -> Plan {
    var outcome = try ConfigPlanner.convert(config, along: route)
    var content = try CheckpointContent(
      checkpoint, along: route, bareAllowed: route.target.isCS || options.containerIsFlat)
    let sourceKeys = content.stateDict.values.keys
    var warnings = outcome.warnings
    var failures: [Diagnostic] = []
    var droppedKeys = false
    var deviations: [Diagnostic] = []
    warnings += content.wrapperWarnings
    for wrapper in content.wrappers {
      let finding = Diagnostic(
        .warning, .stateDictMismatch, .conversion,
        "The state dict was found under '\(wrapper)'; what is around it is left out")
      warnings.append(finding)
      deviations.append(finding)
    }
    var unmatched: [String] = []
    var entries = content.otherEntries
    if route.crossing == nil, let step = try? declaring(config, along: route, outcome) {
      // Steps between releases carry what is there, so what is missing is worth a warning and no more.
      let measured = step.measured(content.stateDict).step
      warnings += try StateDictPlanner(step: measured).incomplete(content.stateDict).map { $0.demoted() }
    }
    var incomplete: [Diagnostic] = []
    for unmeasured in outcome.steps {
      var findings = StateDictPlanner.Findings()
      for (fold, config) in unmeasured.folds { try apply(fold, config, to: &content.stateDict) }
      let (step, values) = unmeasured.measured(content.stateDict)
      if !values.isEmpty {
        let section = route.target == .hf ? nil : try ModelSection.find(in: outcome.document, format: route.target)
        let config = (section ?? outcome.document).merging(values) { $1 }
        outcome.document =
          section == nil ? config : ModelSection.replace(in: outcome.document, with: config)
      }
      content.stateDict = try StateDictPlanner(step: step).convert(content.stateDict, findings: &findings)
      let ignored = IgnoredByTransformers.keys(among: findings.unmatched, along: route)
      if let warning = IgnoredByTransformers.warning(findings.unmatched.filter(ignored.contains), along: route) {
        warnings.append(warning)
      }
      findings.unmatched.removeAll(where: ignored.contains)
      for short in findings.unmatched {
        // The user knows the key as it stands in the file.
        let long = Model.optionalPrefix + short
        let key = !sourceKeys.contains(short) && sourceKeys.contains(long) ? long : short
        unmatched.append(key)
        let finding = Diagnostic(
          options.dropUnmatchedKeys ? .warning : .error, .keysUnmatched, .tensor(key), "Key not matched: \(key)")
        if options.dropUnmatchedKeys { warnings.append(finding) } else { failures.append(finding) }
      }
      droppedKeys = droppedKeys || !findings.unmatched.isEmpty
      failures += findings.failures
      incomplete += findings.incomplete
      warnings += findings.warnings
      deviations += findings.deviations
      switch step.hop {
      case .bridge: entries = []
      case .revision(let revision, let side):
        if case .drop(let reason) = revision.entries, !entries.isEmpty {
          entries = []
          warnings.append(Diagnostic(.warning, .stateDictMismatch, .conversion, reason))
        }
        if !entries.isEmpty, !revision.entryRules.isEmpty {
          var checkpoint = CheckpointEntries(entries, stateDict: content.stateDict)
          checkpoint.apply(revision.entryRules, from: side)
          entries = checkpoint.entries
          content.stateDict = checkpoint.stateDict
          warnings += checkpoint.warnings
        }
      }
    }
    if options.allowIncomplete {
      warnings += incomplete.map { $0.demoted() }
    } else {
      if !incomplete.isEmpty { failures += otherClass(of: config, along: route) }
      failures += incomplete
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
    entries = finished(entries, route: route, params: outcome.document)
    if let dtype = options.precision.dtype {
      content.stateDict.values = content.stateDict.values.mapValues { value in
        value.tensor.map { .tensor($0.cast(to: dtype)) } ?? value
      }
      if route.target == .hf {
        for key in precisionKeys(along: route, in: .hf) where outcome.document.value(at: key) != nil {
          outcome.document.setValue(.string(dtype.rawValue), at: key)
        }
      }
    }
    var plan = try assemble(content, entries: entries, outcome: outcome, warnings: warnings, route: route)
    plan.deviations = deviations
    return plan
  }

  /// The entries with what a conversion adds to them, whatever the releases changed.
  private static func finished(
    _ entries: [ObjectTree<SymbolicTensor>.Entry], route: Route, params: ConfigObject
  ) -> [ObjectTree<SymbolicTensor>.Entry] {
    guard case .cs(let target) = route.target else { return entries }
    var checkpoint = CheckpointEntries(entries, stateDict: StateDict())
    if case .cs(let source) = route.source, source < Release(2, 0) { checkpoint.repairLastEpoch() }
    if checkpoint.takesMetadata(from: route.source, to: route.target) {
      checkpoint.appendMetadata(target, params: params)
    }
    return checkpoint.entries
  }

  private static func apply(
    _ fold: Fold, _ config: ConfigObject, to state: inout StateDict
  ) throws(ConversionError) {
    do throws(ConfigFailure) { try fold.apply(to: &state, config) } catch {
      let diagnostic = Diagnostic(.error, .configNotConvertible, .config(error.key), error.message)
      throw ConversionError.configRefused([diagnostic])
    }
  }

  /// Says that a config names another class of transformers than the model's, where the checkpoint is not whole: the class
  /// without one of its parts.
  private static func otherClass(of config: ConfigObject, along route: Route) -> [Diagnostic] {
    guard route.source == .hf, let hfClass = route.hfClass, case .array(let names)? = config["architectures"],
      case .string(let name)? = names.first, name != hfClass
    else { return [] }
    return [
      Diagnostic(
        .error, .stateDictMismatch, .config("architectures"),
        "'architectures' of the config is \(name), and \(route.model.name) is \(hfClass). Load the checkpoint with that class "
          + "of transformers, which makes what is missing, save it, and convert the result.")
    ]
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
    tensors.reserveCapacity(content.stateDict.values.count)
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
      switch value {
      case .tensor(let tensor):
        state.append(.init(.string(key), .tensor(tensors.count)))
        tensors.append(Plan.Tensor(key: key, tensor: tensor))
      case .other(let tree): state.append(.init(.string(key), numbered(tree, key: key)))
      }
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
      documents: documents(beside: outcome.document, along: route), warnings: warnings)
  }

  /// The files that follow from an output config.
  private static func documents(beside config: ConfigObject, along route: Route) -> [Plan.Document] {
    guard route.target == .hf, let crossing = route.crossing else { return [] }
    return crossing.documents.map { Plan.Document(component: $0.component, name: $0.name, content: $0.content(config)) }
  }
}
