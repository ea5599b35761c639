import OrderedCollections

/// The `trainer` layout of params files from release 2.3 on, and the layout with `model`, `optimizer` and `runconfig` before.
///
/// What a layout has no place for stays where it is, beside `trainer` or under it, and comes back on the way back.
enum TrainerLayout {
  private static let lists: [DocumentPath] = ["init.callbacks", "init.loggers"]
  private static let optimizer: DocumentPath = "init.optimizer"
  private static let schedulers: DocumentPath = "init.schedulers"
  private static let logSparsity = DocumentPath(["init", "callbacks"] + TrainerSettings.logSparsity)
  /// Sections of the older layout; a setting that stays behind in one of them is named in a warning.
  private static let sections = ["runconfig", "model", "optimizer", "sparsity", "train_input", "eval_input", "wandb"]

  /// True for the newer layout.
  static func isTrainer(_ document: ConfigObject) -> Bool {
    ModelSection.path(in: document)?.keys.first == "trainer"
  }

  /// Brings a document of the older layout into the newer; one in the newer stays as it is.
  static func apply(to document: inout ConfigObject, _ notices: inout [DocumentNotice]) throws(ConfigFailure) {
    guard !isTrainer(document) else { return }
    var rest = document
    for path in TrainerSettings.withoutPlace { rest[at: path] = nil }
    // What an earlier way back left under `trainer` joins what is made here.
    var trainer: ConfigObject = if case .object(let left) = rest.removeValue(forKey: "trainer") { left } else { [:] }
    let others = takeLists(&trainer)
    let logsSparsity = takeSummaries(&rest)

    var values: [DocumentPath: ConfigValue] = [:]
    // Settings inside a section leave it before the section itself is taken.
    for depth in stride(from: 4, through: 1, by: -1) {
      for setting in TrainerSettings.all where setting.legacy.keys.count == depth {
        guard values[setting.trainer] == nil, let value = rest[at: setting.legacy] else { continue }
        values[setting.trainer] = setting.kind.value(value)
      }
      for setting in TrainerSettings.all where setting.legacy.keys.count == depth {
        if values[setting.trainer] != nil || rest[at: setting.legacy]?.isNothing ?? false {
          rest[at: setting.legacy] = nil
        }
      }
    }
    values[logSparsity] = logsSparsity.map { .bool($0) }
    for setting in TrainerSettings.all where trainer[at: setting.trainer] == nil {
      if let value = values[setting.trainer] { trainer[at: setting.trainer] = value }
    }
    for (method, loader) in [("fit", "train_dataloader"), ("validate", "val_dataloader")]
    where trainer[at: [method, loader]] == nil {
      trainer[method] = nil
    }
    try nameSchedulers(&trainer, are: values[schedulers] != nil)
    if values[optimizer] != nil { nameOptimizer(&trainer, &rest) }
    for path in lists { putList(&trainer, path, others[path] ?? []) }

    for section in sections {
      if case .object(let left) = rest[section] { rest[section] = .object(left.withoutEmptySections) }
      if rest[section]?.isNothing ?? false { rest[section] = nil }
    }
    for section in sections {
      guard let left = rest[section] else { continue }
      let keys = if case .object(let left) = left { left.keys.map { "\(section).\($0)" } } else { [section] }
      notices.append(
        DocumentNotice(
          section,
          "The trainer layout has no place for \(keys.joined(separator: ", ")); left beside 'trainer', where no release "
            + "from 2.3 on reads it."))
    }
    document = ["trainer": .object(trainer)]
    for (key, value) in rest { document[key] = value }
  }

  /// Brings a document of the newer layout into the older; one in the older stays as it is.
  static func revert(_ document: inout ConfigObject, _ notices: inout [DocumentNotice]) throws(ConfigFailure) {
    guard isTrainer(document), case .object(var trainer) = document["trainer"] else { return }
    var result = document
    result["trainer"] = nil
    var others = takeLists(&trainer)
    for path in lists {
      others[path] = (others[path] ?? []).filter { !keyedEntry($0, under: path, &trainer) }
    }
    for loader: DocumentPath in ["fit.val_dataloader", "validate.val_dataloader", "validate_all.val_dataloaders"] {
      if case .array(let loaders) = trainer[at: loader], loaders.count == 1 { trainer[at: loader] = loaders[0] }
    }
    typeOptimizer(&trainer)
    let untyped = typeSchedulers(&trainer)

    // Whole sections first, then what moves into them.
    let settings = TrainerSettings.all.filter { $0.kind != .scalar && $0.trainer != logSparsity }
    for setting in settings.filter({ $0.legacy.keys.count == 1 }) + settings.filter({ $0.legacy.keys.count > 1 }) {
      guard let value = trainer[at: setting.trainer] else { continue }
      let older = setting.older(value)
      if let present = result[at: setting.legacy], present != older {
        guard case .object(let left) = present, case .object(let section) = older, setting.trainer.keys.first == "init"
        else { continue }
        result[at: setting.legacy] = .object(left.merging(section) { $1 })
      } else {
        result[at: setting.legacy] = older
      }
      trainer[at: setting.trainer] = nil
    }
    if let value = trainer.take(logSparsity) { putSummaries(value.isOn, &result) }
    if let untyped { trainer[at: schedulers] = untyped }
    for path in lists {
      if case .object(let classes) = trainer[at: path] { trainer[at: path] = .object(classes.withoutEmptySections) }
      putList(&trainer, path, others[path] ?? [])
    }
    let left = trainer.withoutEmptySections
    if !left.isEmpty {
      notices.append(
        DocumentNotice(
          "trainer",
          "Release 2.2 has no place for \(left.leaves(under: "trainer").joined(separator: ", ")); left under 'trainer', where "
            + "it does not read it."))
      result["trainer"] = .object(left)
    }
    document = result
  }

  // MARK: Callbacks and loggers

  /// Takes the lists of classes out of a trainer section.
  private static func takeLists(_ trainer: inout ConfigObject) -> [DocumentPath: [ConfigValue]] {
    var found: [DocumentPath: [ConfigValue]] = [:]
    for path in lists {
      guard case .array(let entries) = trainer[at: path] else { continue }
      found[path] = entries
      trainer[at: path] = nil
    }
    return found
  }

  /// Puts an entry of a list under its class, if settings of the older layout can hold it and it is the first of its class.
  private static func keyedEntry(
    _ entry: ConfigValue, under path: DocumentPath, _ trainer: inout ConfigObject
  ) -> Bool {
    guard case .object(let entry) = entry, entry.count == 1, let (name, value) = entry.elements.first else {
      return false
    }
    let place = path.appending(name)
    guard trainer[at: place] == nil else { return false }
    if TrainerSettings.switches.contains(name) {
      guard value.isNothing || value.numberInPython != nil else { return false }
      trainer[at: place] = value == .null ? false : value.isNothing ? true : value
      return true
    }
    let known = TrainerSettings.all.filter { $0.trainer.keys.starts(with: place.keys) }
    if known.contains(where: { $0.trainer == place }) {
      trainer[at: place] = value
      return true
    }
    let settings = Set(known.compactMap(\.trainer.keys.last))
    // Settings of the entry that have no place stay behind in it.
    guard case .object(let inside) = value, inside.keys.contains(where: settings.contains) else { return false }
    trainer[at: place] = value
    return true
  }

  /// Writes classes as a list of mappings with one key each, before entries that were there.
  private static func putList(_ trainer: inout ConfigObject, _ path: DocumentPath, _ others: [ConfigValue]) {
    var entries: [ConfigValue] = []
    var others = others
    if case .object(let classes) = trainer[at: path] {
      for (name, value) in classes {
        if case .object(let settings) = value, let index = others.firstIndex(where: { $0.under(name) != nil }),
          let more = others[index].under(name)
        {
          others.remove(at: index)
          entries.append(.object([name: .object(settings.merging(more) { $1 })]))
          continue
        }
        if name == "Listener", case .object(let inside) = value, case .array(let listeners) = inside["listeners"] {
          entries += listeners.map(listener)
        } else if case .bool(let isOn) = value {
          entries.append(.object([name: isOn ? [:] : .null]))
        } else {
          entries.append(.object([name: value]))
        }
      }
    }
    trainer[at: path] = entries.isEmpty && others.isEmpty ? nil : .array(entries + others)
  }

  private static func listener(_ config: ConfigValue) -> ConfigValue {
    guard case .object(var settings) = config, case .string(let type) = settings.removeValue(forKey: "listener_type")
    else { return .object(["Listener": config]) }
    return .object([type: .object(settings)])
  }

  // MARK: Sparsity

  /// Takes `add_summaries` out of a sparsity section, at any depth; nil when nobody asked.
  private static func takeSummaries(_ document: inout ConfigObject) -> Bool? {
    guard let sparsity = document["sparsity"] else { return nil }
    var found: [Bool] = []
    func without(_ value: ConfigValue) -> ConfigValue {
      switch value {
      case .object(var object):
        if let flag = object.removeValue(forKey: "add_summaries") { found.append(flag.isTruthyInPython) }
        return .object(object.mapValues(without))
      case .array(let values): return .array(values.map(without))
      default: return value
      }
    }
    document["sparsity"] = without(sparsity)
    if found.contains(true) { return true }
    if case .object(let object) = sparsity, object["add_summaries"] != nil { return false }
    return nil
  }

  private static func putSummaries(_ isOn: Bool, _ document: inout ConfigObject) {
    switch document["sparsity"] {
    case .array(let groups):
      document["sparsity"] = .array(
        groups.map { group in
          guard case .object(var group) = group else { return group }
          group["add_summaries"] = .bool(isOn)
          return .object(group)
        })
    case .number(let level): document["sparsity"] = ["sparsity": .number(level), "add_summaries": .bool(isOn)]
    default: document[at: "sparsity.add_summaries"] = .bool(isOn)
    }
  }

  // MARK: Optimizer

  /// `optimizer_type: AdamW` beside the settings becomes `AdamW:` around them.
  private static func nameOptimizer(_ trainer: inout ConfigObject, _ rest: inout ConfigObject) {
    guard case .object(var settings) = trainer[at: optimizer] else { return }
    guard case .string(let type) = settings.removeValue(forKey: "optimizer_type") else {
      rest["optimizer"] = trainer.take(optimizer)
      return
    }
    trainer[at: optimizer] = .object([type: .object(settings)])
  }

  private static func typeOptimizer(_ trainer: inout ConfigObject) {
    guard case .object(let named) = trainer[at: optimizer], named.count == 1, let (type, value) = named.elements.first
    else { return }
    let settings: ConfigObject = if case .object(let settings) = value { settings } else { [:] }
    let typed: ConfigObject = ["optimizer_type": .string(type)]
    trainer[at: optimizer] = .object(typed.merging(settings) { $1 })
  }

  private static func nameSchedulers(
    _ trainer: inout ConfigObject, are isGiven: Bool
  ) throws(ConfigFailure) {
    let adjusts = trainer[at: optimizer.appending("adjust_learning_rate")]?.isTruthyInPython ?? false
    var scheduler: ConfigValue?
    if let config = trainer[at: schedulers] {
      // What was left under `trainer` is in the newer form already.
      guard isGiven else { return }
      scheduler = try TrainerSchedulers.named(config)
    } else if let rate = trainer[at: optimizer.appending("learning_rate")] {
      guard let value = rate.pythonFloat else {
        throw ConfigFailure(
          "optimizer.learning_rate",
          "optimizer.learning_rate is \(rate.pythonDescription); it must be a number, a scheduler or a list of schedulers."
        )
      }
      scheduler = ["ConstantLR": ["learning_rate": .double(value)]]
    }
    guard let scheduler else { return }
    trainer[at: schedulers] = .array([adjusts ? ["ScalePerParamLR": ["scheduler": scheduler]] : scheduler])
  }

  /// Returns the schedulers when the older layout has no form for them.
  private static func typeSchedulers(_ trainer: inout ConfigObject) -> ConfigValue? {
    guard let value = trainer.take(schedulers) else { return nil }
    guard case .array(let list) = value, list.count == 1, var scheduler = list.first else { return value }
    if let wrapped = scheduler.under("ScalePerParamLR"), wrapped.keys == ["scheduler"] {
      scheduler = wrapped["scheduler"] ?? .null
    }
    if let constant = scheduler.under("ConstantLR"), constant.keys == ["learning_rate"],
      let rate = trainer[at: optimizer.appending("learning_rate")]?.pythonFloat,
      constant["learning_rate"]?.pythonFloat == rate
    {
      return nil
    }
    guard let typed = TrainerSchedulers.typed(scheduler) else { return value }
    trainer[at: schedulers] = typed
    return nil
  }
}
