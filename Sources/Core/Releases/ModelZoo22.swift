import OrderedCollections

/// What release 2.2 changed in params documents: gradient accumulation is asked for by the micro batch size, and
/// sparsity got other names.
///
/// Facts: Model Zoo Release 2.10.0, `base_converter.py` of its checkpoint converters; for the way down,
/// `run_cstorch_flow.py` of Release 2.1.1.
enum ModelZoo22 {
  static let document: [DocumentRule] = [
    .rewrite("gradient accumulation", forward: accumulationUp, backward: accumulationDown),
    .drop(.older, "runconfig.autogen_policy"),
    .rewrite("sparsity", forward: sparsityUp, backward: sparsityDown),
  ]

  private static let inputs = ["train_input", "eval_input"]
  private static let switchPath: DocumentPath = "runconfig.use_cs_grad_accum"

  /// `use_cs_grad_accum: false` is a micro batch size of null in both inputs; true is `auto` unless a size is given.
  private static let accumulationUp: DocumentRule.Rewriting = { (document, _, _) throws(ConfigFailure) in
    guard let value = document.take(switchPath) else { return }
    guard case .bool(let isOn) = value else {
      throw ConfigFailure(
        switchPath.description, "\(switchPath) is \(value.pythonDescription); it must be true or false.")
    }
    for input in inputs {
      let size: DocumentPath = [input, "micro_batch_size"]
      if case .array = document[input] { continue }
      if !isOn {
        document[at: size] = .null
      } else if document[at: size] == nil {
        document[at: size] = "auto"
      }
    }
  }

  /// 2.1 knows neither null nor `auto` as a size: the switch says the same.
  private static let accumulationDown: DocumentRule.Rewriting = { (document, _, notices) in
    let sizes: [DocumentPath] = inputs.map { [$0, "micro_batch_size"] }
    let words = Set(sizes.compactMap { document[at: $0] }).intersection([.null, "auto"])
    guard let word = words.first else { return }
    guard words.count == 1, case .object = document["runconfig"] ?? [:] else {
      notices.append(
        DocumentNotice(
          sizes[0].description,
          "Release 2.1 switches gradient accumulation on or off for training and evaluation together. The micro batch sizes "
            + "null and auto are left as they are: set \(switchPath)."))
      return
    }
    for size in sizes where document[at: size] == word { document[at: size] = nil }
    document[at: switchPath] = .bool(word != .null)
  }

  private static let sparsityUp: DocumentRule.Rewriting = { (document, _, _) throws(ConfigFailure) in
    guard case .object(var sparsity) = document["sparsity"] else { return }
    sparsity.rename("type", to: "algorithm")
    if sparsity["algorithm"] == "static" {
      sparsity["algorithm"] = nil
      if sparsity.count == 1, let level = sparsity["sparsity"] {
        document["sparsity"] = level
        return
      }
    }
    // Without levels under one of these keys, `schedule` holds the levels already.
    if ["sparsity", "sparsity_schedule", "param_name_patterns"].contains(where: { sparsity[$0] != nil }) {
      sparsity.rename("schedule", to: "update")
    }
    if let pairs = sparsity.removeValue(forKey: "sparsity_schedule") {
      let (steps, levels) = try unzipped(pairs)
      sparsity["schedule"] = .array(levels)
      sparsity["update"] = ["steps": .array(steps)]
    }
    if let level = sparsity["sparsity"], level.numberInPython == nil { sparsity.rename("sparsity", to: "schedule") }
    if case .number(let frequency) = sparsity["update"], let steps = frequency.int {
      sparsity["update"] = steps == 1 ? nil : ["freq": .number(frequency)]
    }
    document["sparsity"] = .object(sparsity)
    guard let patterns = sparsity.removeValue(forKey: "param_name_patterns") else { return }
    switch patterns {
    case .object(let groups):
      document["sparsity"] = .array(
        try groups.map { (pattern, own) throws(ConfigFailure) in
          guard case .object(let own) = own else {
            throw ConfigFailure(
              "sparsity.param_name_patterns.\(pattern)",
              "sparsity.param_name_patterns.\(pattern) is \(own.kindDescription); it must be a mapping of settings.")
          }
          let group: ConfigObject = ["param_filter": .string(glob(pattern))]
          return .object(group.merging(sparsity) { $1 }.merging(own) { $1 })
        })
    case .string, .array:
      sparsity["param_filter"] = mapTexts(patterns, glob)
      document["sparsity"] = .object(sparsity)
    default:
      throw ConfigFailure(
        "sparsity.param_name_patterns",
        "sparsity.param_name_patterns is \(patterns.kindDescription); it must be a pattern, a list or a mapping of them."
      )
    }
  }

  /// 2.1 wants a mapping with a `type`, and one mapping only: groups become patterns with settings of their own.
  private static let sparsityDown: DocumentRule.Rewriting = { (document, _, notices) in
    switch document["sparsity"] {
    case .number(let level): document["sparsity"] = ["type": "static", "sparsity": .number(level)]
    case .object(let group): document["sparsity"] = .object(older(group))
    case .array(let values):
      let groups = values.compactMap { if case .object(let group) = $0 { group } else { nil } }
      let filters = groups.compactMap { if case .string(let filter) = $0["param_filter"] { filter } else { nil } }
      guard Set(filters).count == values.count, Set(groups.map { $0["algorithm"] ?? .null }).count <= 1,
        let first = groups.first
      else {
        notices.append(
          DocumentNotice(
            "sparsity",
            "Release 2.1 has one sparsity section, for one algorithm. The list of \(values.count) groups is left as it is: "
              + "merge it by hand."))
        return
      }
      var patterns = ConfigObject()
      for (filter, group) in zip(filters, groups) {
        var own = older(group)
        own["type"] = nil
        own["param_name_patterns"] = nil
        patterns[pattern(filter)] = .object(own)
      }
      document["sparsity"] = [
        "type": first["algorithm"] ?? "static", "param_name_patterns": .object(patterns),
      ]
    default: break
    }
  }

  /// One group in the names of 2.1. A group that is spelt in them already stays as it is.
  private static func older(_ group: ConfigObject) -> ConfigObject {
    guard group["type"] == nil, group["sparsity_schedule"] == nil, group["param_name_patterns"] == nil else {
      return group
    }
    var group = group
    group["type"] = group.removeValue(forKey: "algorithm") ?? "static"
    if case .array(let levels) = group["schedule"], case .object(let update) = group["update"],
      case .array(let steps) = update["steps"], steps.count == levels.count
    {
      group["schedule"] = nil
      group["update"] = nil
      group["sparsity_schedule"] = .array(zip(steps, levels).map { .array([$0, $1]) })
    }
    group.rename("schedule", to: "sparsity")
    group.rename("update", to: "schedule")
    if let filter = group.removeValue(forKey: "param_filter") {
      group["param_name_patterns"] = mapTexts(filter, pattern)
    }
    return group
  }

  private static func unzipped(
    _ pairs: ConfigValue
  ) throws(ConfigFailure) -> (steps: [ConfigValue], levels: [ConfigValue]) {
    var steps: [ConfigValue] = []
    var levels: [ConfigValue] = []
    if case .array(let pairs) = pairs {
      for case .array(let pair) in pairs where pair.count == 2 {
        steps.append(pair[0])
        levels.append(pair[1])
      }
      if steps.count == pairs.count { return (steps, levels) }
    }
    throw ConfigFailure(
      "sparsity.sparsity_schedule", "sparsity.sparsity_schedule must be a list of pairs of a step and a sparsity.")
  }

  private static func mapTexts(_ value: ConfigValue, _ transform: (String) -> String) -> ConfigValue {
    switch value {
    case .string(let text): .string(transform(text))
    case .array(let values): .array(values.map { mapTexts($0, transform) })
    default: value
    }
  }

  private static func glob(_ pattern: String) -> String { pattern.replacing(".*", with: "*") }
  private static func pattern(_ glob: String) -> String { glob.replacing("*", with: ".*") }
}

extension OrderedDictionary where Key == String, Value == ConfigValue {
  /// Moves a value to another key of the same mapping, replacing what stands there.
  mutating func rename(_ key: String, to other: String) {
    if let value = removeValue(forKey: key) { self[other] = value }
  }
}
