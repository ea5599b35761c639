import OrderedCollections

/// Learning rate schedulers in the two layouts of params files: a mapping with `scheduler: Linear` in it, or a mapping
/// `LinearLR:` around it.
enum TrainerSchedulers {
  private static let chained = ["chained", "chainedlr"]

  /// The newer form of a scheduler, or of a list of schedulers. Throws for a scheduler that the releases do not know.
  static func named(_ config: ConfigValue) throws(ConfigFailure) -> ConfigValue {
    switch config {
    case .array(let configs):
      var parts: [ConfigValue] = []
      var main: [String] = []
      for config in configs {
        guard case .object(var settings) = config else { throw unknown(config) }
        if case .string(let name) = settings.removeValue(forKey: "main_scheduler"), !main.contains(name) {
          main.append(name)
        }
        parts.append(try named(.object(settings)))
      }
      guard main.count <= 1 else {
        throw ConfigFailure(
          "optimizer.learning_rate",
          "The schedulers of optimizer.learning_rate name different main schedulers: \(main.joined(separator: ", ")). Name the "
            + "same one everywhere.")
      }
      if chained.contains(main.first?.lowercased() ?? "") { return ["ChainedScheduler": ["schedulers": .array(parts)]] }
      return parts.count == 1 ? parts[0] : ["SequentialLR": ["schedulers": .array(parts)]]
    case .object(var settings):
      guard case .string(let name) = settings.removeValue(forKey: "scheduler"),
        let type = OptimizerNames.schedulerClass(name)
      else { throw unknown(config) }
      return .object([type: .object(settings)])
    default: throw unknown(config)
    }
  }

  /// The older form; nil when it cannot say this.
  static func typed(_ scheduler: ConfigValue) -> ConfigValue? {
    for (name, main) in [("SequentialLR", nil), ("ChainedScheduler", "chained")] {
      guard let group = scheduler.under(name) else { continue }
      guard group.keys == ["schedulers"], case .array(let parts) = group["schedulers"] else { return nil }
      var typed: [ConfigValue] = []
      for part in parts {
        guard var settings = single(part) else { return nil }
        if let main { settings["main_scheduler"] = .string(main) }
        typed.append(.object(settings))
      }
      return .array(typed)
    }
    return single(scheduler).map { .object($0) }
  }

  private static func single(_ scheduler: ConfigValue) -> ConfigObject? {
    guard case .object(let named) = scheduler, named.count == 1, let (type, value) = named.elements.first,
      OptimizerNames.schedulerClasses.contains(type)
    else { return nil }
    guard !["SequentialLR", "ChainedScheduler", "ScalePerParamLR"].contains(type) else { return nil }
    let settings: ConfigObject = if case .object(let settings) = value { settings } else { [:] }
    let typed: ConfigObject = ["scheduler": .string(type.hasSuffix("LR") ? String(type.dropLast(2)) : type)]
    return typed.merging(settings) { $1 }
  }

  private static func unknown(_ config: ConfigValue) -> ConfigFailure {
    var name = config
    if case .object(let settings) = config { name = settings["scheduler"] ?? .null }
    return ConfigFailure(
      "optimizer.learning_rate",
      "Can't convert config with optimizer.learning_rate scheduler=\(name.pythonDescription). Known are "
        + OptimizerNames.schedulerClasses.joined(separator: ", ") + ", with or without LR.")
  }
}
