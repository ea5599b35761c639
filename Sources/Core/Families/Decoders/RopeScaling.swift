import Foundation
import OrderedCollections

/// How rotary positions are stretched beyond the length that a model was trained with.
///
/// HF keeps `rope_scaling: {rope_type, factor, ...}` (older: `type`; transformers 5: `rope_parameters` together with the base),
/// the Model Zoo `pos_scaling_type`, `pos_scaling_factor` and `pos_scaling_extra_args`.
///
/// Facts: transformers' `modeling_rope_utils.py` and the Model Zoo's `RotaryPositionEmbeddingHelper.py`, Release 2.10.0.
struct RopeScaling {
  /// A kind of scaling that both sides compute alike. `dynamic` has no counterpart in the Model Zoo.
  enum Kind: String, CaseIterable {
    case linear, yarn, llama3, longrope
  }

  /// The base of the rotary frequencies and their scaling. `base` is what the HF class takes for a left-out `rope_theta`.
  /// `isWritten`: a config that scales nothing says so. `partial` is the HF key for the share of rows that turn.
  @ConfigRulesBuilder static func rules(
    kinds: [Kind] = Kind.allCases, base: Double = 10000, isWritten: Bool = true, partial: String? = nil
  ) -> [ConfigRule] {
    Key(number: "rope_theta")
    scaling(kinds: kinds, isWritten: isWritten)
    // transformers 5 keeps base, scaling and share in one section.
    Assume(.hf, "rope_theta") { (config) throws(ConfigFailure) in
      try parameters(config)?["rope_theta"] ?? (base == 10000 ? nil : .double(base))
    }
    if base != 10000 { Assume(.cs, "rope_theta", 10000.0) }
    if let partial {
      Assume(.hf, partial) { (config) throws(ConfigFailure) in try parameters(config)?["partial_rotary_factor"] }
    }
  }

  /// The scaling alone, of models whose base is fixed. `isWritten`: a config that scales nothing says so.
  @ConfigRulesBuilder static func scaling(kinds: [Kind], isWritten: Bool = true) -> [ConfigRule] {
    Keys(
      ["rope_scaling", "original_max_position_embeddings"],
      ["pos_scaling_factor", "pos_scaling_type", "pos_scaling_extra_args"]
    ) { (config) throws(ConfigFailure) in
      guard let given = config["rope_scaling"], given != .null else {
        return isWritten ? ["pos_scaling_factor": 1.0] : [:]
      }
      guard case .object(let scaling) = given else {
        throw ConfigFailure("rope_scaling", "'rope_scaling' must be a section or null, not \(given.pythonDescription).")
      }
      return try RopeScaling(kinds, scaling, config).modelZoo(plain: isWritten)
    } backward: { (config) throws(ConfigFailure) in
      try huggingFace(config, kinds, plain: isWritten ? ["rope_scaling": .null] : [:])
    }
    caution
    Assume(.hf, "rope_scaling") { (config) throws(ConfigFailure) in
      try parameters(config).map { .object($0.filter { !["rope_theta", "partial_rotary_factor"].contains($0.key) }) }
    }
    Ignore(.hf, "rope_parameters")
  }

  /// A model whose positions the Model Zoo does not scale.
  @ConfigRulesBuilder static var none: [ConfigRule] {
    Ignore(.hf, "rope_scaling", "rope_parameters")
    Check(.hf) { (config) throws(ConfigFailure) in
      for key in ["rope_scaling", "rope_parameters"] {
        guard case .object(let scaling)? = config[key], let kind = scaling["rope_type"] ?? scaling["type"] else {
          continue
        }
        guard kind == "default" else { throw .unsupported(key, kind, supported: ["default"]) }
      }
    }
  }

  private let kind: Kind?
  private let scaling: ConfigObject
  private let config: ConfigObject

  private init(_ kinds: [Kind], _ scaling: ConfigObject, _ config: ConfigObject) throws(ConfigFailure) {
    guard case .string(let name)? = scaling["rope_type"] ?? scaling["type"] else {
      throw ConfigFailure("rope_scaling", "'rope_scaling' needs the text 'rope_type' (or 'type').")
    }
    self.scaling = scaling
    self.config = config
    kind = name == "default" ? nil : try Self.kind(name, kinds, "rope_scaling")
  }

  /// What the Model Zoo is told. Throws when a value is missing or cannot be expressed.
  private func modelZoo(plain isWritten: Bool) throws(ConfigFailure) -> ConfigObject {
    guard let kind else { return isWritten ? ["pos_scaling_factor": 1.0] : [:] }
    var written: ConfigObject = ["pos_scaling_type": .string(kind.rawValue)]
    var extra: ConfigObject = [:]
    switch kind {
    case .linear: written["pos_scaling_factor"] = try factor()
    case .yarn:
      written["pos_scaling_factor"] = try factor()
      extra["original_max_position_embeddings"] = try originalLength()
      for key in ["beta_fast", "beta_slow", "truncate"] where scaling[key] ?? .null != .null {
        extra[key] = scaling[key]
      }
      if let attention = try yarnAttention() {
        // The class computes mscale_a * log(factor) + mscale_b.
        extra["mscale_a"] = 0.0
        extra["mscale_b"] = .double(attention)
      }
    case .llama3:
      written["pos_scaling_factor"] = try factor()
      for key in ["low_freq_factor", "high_freq_factor"] { extra[key] = .number(try number(key)) }
      extra["original_max_position_embeddings"] = try originalLength()
    case .longrope:
      written["pos_scaling_factor"] = scaling["factor"] ?? .null == .null ? 1.0 : try factor()
      for key in ["short_factor", "long_factor"] { extra[key] = try factors(key) }
      extra["original_max_position_embeddings"] = try originalLength()
      if let attention = try longRopeAttention() { extra["attention_factor"] = attention }
    }
    if !extra.isEmpty { written["pos_scaling_extra_args"] = .object(extra) }
    return written
  }

  /// The length that the model was trained with; transformers takes the present one where none is given.
  private func originalLength() throws(ConfigFailure) -> ConfigValue {
    let key = "original_max_position_embeddings"
    for (section, path) in [(config, key), (scaling, "rope_scaling.\(key)"), (config, "max_position_embeddings")] {
      let name = String(path.split(separator: ".").last ?? "")
      guard let value = section[name], value != .null else { continue }
      do throws(ConfigFailure) { return .int(try section.dimension(name)) } catch {
        throw ConfigFailure(path, "\(path): \(error.message)")
      }
    }
    throw ConfigFailure("rope_scaling", "'rope_scaling' needs '\(key)'.")
  }

  private func factor() throws(ConfigFailure) -> ConfigValue { .number(try number("factor")) }

  /// A number above zero inside `rope_scaling`.
  private func number(_ key: String) throws(ConfigFailure) -> ConfigNumber {
    guard case .number(let number)? = scaling[key], number.double.isFinite, number.double > 0 else {
      throw ConfigFailure(
        "rope_scaling.\(key)",
        "'rope_scaling.\(key)' is \(scaling[key]?.pythonDescription ?? "missing"); it must be a number above 0.")
    }
    return number
  }

  /// The factors of longrope, one for each pair of rows.
  private func factors(_ key: String) throws(ConfigFailure) -> ConfigValue {
    guard case .array(let values)? = scaling[key], !values.isEmpty,
      values.allSatisfy({ if case .number(let number) = $0 { number.double > 0 } else { false } })
    else { throw ConfigFailure("rope_scaling.\(key)", "'rope_scaling.\(key)' must be a list of numbers above 0.") }
    return .array(values)
  }

  /// What yarn multiplies sine and cosine with, where it is not 0.1 * log(factor) + 1.
  private func yarnAttention() throws(ConfigFailure) -> Double? {
    let factor = try number("factor").double
    func scale(_ mscale: Double) -> Double { factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1 }
    var attention: Double?
    if scaling["attention_factor"] ?? .null != .null {
      attention = try number("attention_factor").double
    } else if let mscale = scaling["mscale"], mscale.isTruthyInPython, let all = scaling["mscale_all_dim"],
      all.isTruthyInPython
    {
      attention = scale(try number("mscale").double) / scale(try number("mscale_all_dim").double)
    }
    if let attention, factor <= 1, attention != 1 {
      throw ConfigFailure(
        "rope_scaling.attention_factor",
        "Can't convert config with rope_scaling.attention_factor \(attention): with a factor of at most 1 the Model Zoo has 1."
      )
    }
    return attention == scale(1) ? nil : attention
  }

  /// What longrope multiplies sine and cosine with, where the Model Zoo would not compute the same from the lengths.
  private func longRopeAttention() throws(ConfigFailure) -> ConfigValue? {
    if scaling["attention_factor"] ?? .null != .null { return .number(try number("attention_factor")) }
    let given = config["original_max_position_embeddings"] ?? scaling["original_max_position_embeddings"] ?? .null
    guard given == .null, scaling["factor"] ?? .null != .null else { return nil }
    let factor = try number("factor").double
    let length = Double(try config.dimension("max_position_embeddings"))
    return factor <= 1 ? nil : .double((1 + log(factor) / log(length)).squareRoot())
  }

  // MARK: From the Model Zoo

  /// What HF is told; `plain` is what a config without scaling gets.
  private static func huggingFace(
    _ config: ConfigObject, _ kinds: [Kind], plain: ConfigObject
  ) throws(ConfigFailure) -> ConfigObject {
    let factor = config.stated("pos_scaling_factor") ?? 1.0
    guard case .number(let number) = factor, number.double.isFinite, number.double > 0 else {
      throw ConfigFailure(
        "pos_scaling_factor", "'pos_scaling_factor' is \(factor.pythonDescription); it must be a number above 0.")
    }
    let given = config["pos_scaling_type"] ?? .null
    guard case .string(let name) = given == .null ? "linear" : given else {
      throw ConfigFailure("pos_scaling_type", "'pos_scaling_type' must be a text, not \(given.pythonDescription).")
    }
    let kind = try Self.kind(name.lowercased(), kinds, "pos_scaling_type")
    // Longrope scales by its lists, whatever the factor is.
    if number.double == 1, kind != .longrope { return plain }
    let extra = config.section(at: "pos_scaling_extra_args")
    // Both spellings are understood; the tool writes the new one for the newest kind only.
    var scaling: ConfigObject = [kind == .llama3 ? "rope_type" : "type": .string(kind.rawValue), "factor": factor]
    var written: ConfigObject = [:]
    switch kind {
    case .linear: break
    case .yarn:
      if let extrapolation = extra["extrapolation_factor"], !extrapolation.isEqualInPython(1) {
        throw .unsupported("pos_scaling_extra_args.extrapolation_factor", extrapolation, supported: [1.0])
      }
      for key in ["original_max_position_embeddings", "beta_fast", "beta_slow", "truncate"] {
        if let value = extra[key] { scaling[key] = value }
      }
      if extra["mscale_a"] != nil || extra["mscale_b"] != nil {
        let (a, b) = (extra["mscale_a"]?.numberInPython?.double ?? 0.1, extra["mscale_b"]?.numberInPython?.double ?? 1)
        scaling["attention_factor"] = .double(number.double <= 1 ? 1 : a * log(number.double) + b)
      }
    case .llama3:
      let defaults: ConfigObject = [
        "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 8192,
      ]
      for (key, value) in defaults { scaling[key] = extra[key] ?? value }
    case .longrope:
      let length = "original_max_position_embeddings"
      for key in ["short_factor", "long_factor", length] {
        guard let value = extra[key] else {
          throw ConfigFailure(
            "pos_scaling_extra_args.\(key)", "The config lacks 'pos_scaling_extra_args.\(key)', which longrope needs.")
        }
        scaling[key] = value
      }
      let isLong = try config.dimension("max_position_embeddings") > extra.dimension(length)
      scaling["attention_factor"] = extra[isLong ? "long_mscale" : "short_mscale"] ?? extra["attention_factor"]
      // transformers 4 reads the length beside the section, transformers 5 inside.
      written[length] = scaling[length]
    }
    written["rope_scaling"] = .object(scaling)
    return written
  }

  private static func kind(_ name: String, _ kinds: [Kind], _ key: String) throws(ConfigFailure) -> Kind {
    // Phi-3's first files call longrope "su".
    guard let kind = Kind(rawValue: name.lowercased() == "su" ? "longrope" : name.lowercased()), kinds.contains(kind)
    else { throw .unsupported(key, .string(name), supported: kinds.map { .string($0.rawValue) }) }
    return kind
  }

  /// The section of transformers 5; nil where the config has none. One with a section for each kind of layer is refused.
  private static func parameters(_ config: ConfigObject) throws(ConfigFailure) -> ConfigObject? {
    guard case .object(let parameters)? = config["rope_parameters"] else { return nil }
    if parameters.values.contains(where: { if case .object = $0 { true } else { false } }) {
      throw ConfigFailure(
        "rope_parameters", "'rope_parameters' differs between kinds of layers; the Model Zoo has one setting for all.")
    }
    return parameters
  }

  @ConfigRulesBuilder private static var caution: [ConfigRule] {
    Caution(.hf, "rope_scaling") { config in
      guard case .object(let scaling)? = config["rope_scaling"] ?? config["rope_parameters"],
        let kind = scaling["rope_type"] ?? scaling["type"], kind == "longrope" || kind == "su"
      else { return nil }
      return "The Model Zoo picks the long or the short factors of longrope once, by max_position_embeddings; HF picks "
        + "them for each sequence by its length."
    }
  }
}
