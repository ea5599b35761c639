import OrderedCollections

/// Scaling of rotary positions, with which a model reads longer texts than it was first trained on: `rope_scaling` of
/// transformers (`rope_parameters` from version 5 on) and `pos_scaling_*` of the Model Zoo.
///
/// Facts: `convert_pi` of the Model Zoo's `llama.py` and `gpt_neox_hf_cs.py`, `RotaryPositionEmbeddingHelper.py`, and
/// `modeling_rope_utils.py` of transformers.
enum PositionScaling {
  /// How positions are scaled.
  enum Kind: String, CaseIterable {
    case linear, yarn, longrope, llama3

    /// Keys of `rope_scaling` that the Model Zoo has among its extra arguments; nil where it takes any.
    fileprivate var extraKeys: [String]? {
      switch self {
      case .linear: []
      case .yarn: ["original_max_position_embeddings", "beta_fast", "beta_slow", "truncate"]
      case .longrope: nil
      case .llama3: ["low_freq_factor", "high_freq_factor", "original_max_position_embeddings"]
      }
    }
  }

  /// The rule for a model that knows these kinds.
  @ConfigRulesBuilder static func rules(_ kinds: Kind..., file: String = #fileID, line: Int = #line) -> [ConfigRule] {
    Keys(
      ["rope_scaling"], ["pos_scaling_factor", "pos_scaling_type", "pos_scaling_extra_args"], file: file, line: line,
      forward: { (config) throws(ConfigFailure) in try modelZoo(config, kinds) },
      backward: { (config) throws(ConfigFailure) in try huggingFace(config, kinds) })
  }

  /// The section of a Hugging Face config that says how positions are scaled, and its key; nil for none.
  static func section(of config: ConfigObject) throws(ConfigFailure) -> (key: String, section: ConfigObject)? {
    for key in ["rope_scaling", "rope_parameters"] {
      guard let value = config[key], value != .null else { continue }
      guard case .object(let section) = value else {
        throw ConfigFailure(key, "'\(key)' must be a section or null, not \(value.pythonDescription).")
      }
      if section["rope_type"] == nil, section["type"] == nil, key == "rope_parameters" { continue }
      return (key, section)
    }
    return nil
  }

  /// Refuses a config that scales positions, where the target does not.
  static func refuse(in config: ConfigObject) throws(ConfigFailure) {
    guard let (key, section) = try section(of: config) else { return }
    let kind = section["rope_type"] ?? section["type"] ?? .null
    guard kind == "default" else { throw .unsupported(key, kind, supported: ["default"]) }
  }

  private static func modelZoo(_ config: ConfigObject, _ kinds: [Kind]) throws(ConfigFailure) -> ConfigObject {
    guard let (key, section) = try section(of: config) else { return ["pos_scaling_factor": 1.0] }
    guard let named = section["rope_type"] ?? section["type"], case .string(let name) = named else {
      throw ConfigFailure(key, "'\(key)' has no text under 'rope_type' that says how positions are scaled.")
    }
    if name == "default" { return ["pos_scaling_factor": 1.0] }
    guard let kind = kinds.first(where: { $0.rawValue == name.lowercased() }) else {
      throw .unsupported("\(key).rope_type", named, supported: kinds.map { .string($0.rawValue) })
    }
    var written: ConfigObject = ["pos_scaling_type": .string(kind.rawValue)]
    if let factor = section["factor"], factor != .null {
      written["pos_scaling_factor"] = try ConfigType.number.checked(factor, key: "\(key).factor").value
    } else if kind == .longrope {
      written["pos_scaling_factor"] = 1.0
    } else {
      throw ConfigFailure("\(key).factor", "'\(key)' has no 'factor' by which positions are scaled.")
    }
    // The rest of `rope_parameters` is not about scaling.
    let about = ["type", "rope_type", "factor", "rope_theta", "partial_rotary_factor"]
    var extra = section.filter { !about.contains($0.key) && $0.value != .null }
    if kind == .yarn, extra["original_max_position_embeddings"] == nil {
      extra["original_max_position_embeddings"] = config["max_position_embeddings"]
    }
    if let known = kind.extraKeys, let other = extra.keys.first(where: { !known.contains($0) }) {
      throw ConfigFailure(
        "\(key).\(other)", "Can't convert config with \(key).\(other): the Model Zoo has no such setting for '\(name)'."
      )
    }
    if !extra.isEmpty { written["pos_scaling_extra_args"] = .object(extra) }
    return written
  }

  private static func huggingFace(_ config: ConfigObject, _ kinds: [Kind]) throws(ConfigFailure) -> ConfigObject {
    let factor = try ConfigType.number.checked(config["pos_scaling_factor"] ?? 1.0, key: "pos_scaling_factor").value
    let named = config["pos_scaling_type"] ?? "linear"
    guard case .string(let name) = named, let kind = kinds.first(where: { $0.rawValue == name.lowercased() }) else {
      throw .unsupported("pos_scaling_type", named, supported: kinds.map { .string($0.rawValue) })
    }
    // The lists of longrope scale by themselves.
    if factor.isEqualInPython(1.0) || factor == .null, kind != .longrope || config["pos_scaling_extra_args"] == nil {
      return ["rope_scaling": .null]
    }
    var section: ConfigObject = [kind == .llama3 ? "rope_type" : "type": .string(kind.rawValue), "factor": factor]
    switch config["pos_scaling_extra_args"] {
    case .object(let extra)?: for (key, value) in extra { section[key] = value }
    case nil, .null?: break
    case let other?:
      throw ConfigFailure(
        "pos_scaling_extra_args", "'pos_scaling_extra_args' must be a section, not \(other.pythonDescription).")
    }
    return ["rope_scaling": .object(section)]
  }
}
