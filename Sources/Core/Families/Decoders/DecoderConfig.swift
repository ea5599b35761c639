import OrderedCollections

/// Axes of the tensors of decoders whose heads have a size of their own and may share keys and values.
extension Dimension {
  /// All rows of the query: heads times their size.
  static let attentionWidth = cs("attention_inner_dim", or: .hidden)
  /// Rows of one head.
  static let headSize = attentionWidth / .heads
  /// Heads of the keys and values.
  static let groups = cs("extra_attention_params.num_kv_groups", or: .heads)
  /// Rows of the keys, and of the values.
  static let keyWidth = groups * .headSize
  /// Rows of a head that take part in the rotary embedding.
  static let rotaryRows = cs("rotary_dim")
}

/// Config rules that the decoders with rotary positions, gated feed-forward layers and RMS norms share.
///
/// Facts: Model Zoo Release 2.10.0 (`gpt2_model.py`, `MultiQueryAttentionLayer.py` and `llama.py` of its checkpoint
/// converters) and transformers' config classes.
enum DecoderConfig {
  /// What gives a model its size, under the names of Llama; `eps` is the HF name of the norms' epsilon.
  @ConfigRulesBuilder static func sizes(eps: String = "rms_norm_eps") -> [ConfigRule] {
    Key(dimension: "vocab_size")
    Key(dimension: "max_position_embeddings")
    Key(dimension: "hidden_size")
    Key(dimension: "num_attention_heads", "num_heads")
    Key(dimension: "num_hidden_layers")
    Key(dimension: "intermediate_size", "filter_size")
    Key(number: eps, "layer_norm_epsilon")
    Key(flag: "tie_word_embeddings", "share_embedding_weights")
    Assume(.cs, "max_position_embeddings", 1024)
    Assume(.cs, "layer_norm_epsilon", 1e-5)
    Assume(.cs, "share_embedding_weights", true)
  }

  // MARK: Attention

  /// Heads that share keys and values. `otherwise` is what the HF class takes for a left-out number; nil is one group for
  /// each head. `isWritten`: a HF config gets the number also where it is that of the heads.
  @ConfigRulesBuilder static func groupedQueries(otherwise: Int? = nil, isWritten: Bool = false) -> [ConfigRule] {
    Keys(["num_key_value_heads"], ["attention_module", "extra_attention_params.num_kv_groups"]) {
      (config) throws(ConfigFailure) in
      guard let given = config["num_key_value_heads"] else { return [:] }
      let heads = try config.dimension("num_attention_heads")
      if given == .null { return ["attention_module": "aiayn_attention"] }
      let groups = try config.dimension("num_key_value_heads")
      try divides(groups, heads, "num_key_value_heads")
      if groups == heads { return ["attention_module": "aiayn_attention"] }
      return ["attention_module": "multiquery_attention", "extra_attention_params.num_kv_groups": .int(groups)]
    } backward: { (config) throws(ConfigFailure) in
      let groupKey = "extra_attention_params.num_kv_groups"
      let heads = try config.dimension("num_heads")
      let module = config["attention_module"] ?? "aiayn_attention"
      switch module {
      case "aiayn_attention":
        if let groups = config.value(at: groupKey), groups != .null, !groups.isEqualInPython(.int(heads)) {
          throw ConfigFailure(
            groupKey,
            "Can't convert config with \(groupKey)=\(groups.pythonDescription) and attention_module=aiayn_attention: "
              + "that attention has as many groups as heads. Set attention_module to multiquery_attention.")
        }
        return isWritten || config["extra_attention_params"] != nil ? ["num_key_value_heads": .int(heads)] : [:]
      case "multiquery_attention":
        let groups = try config.dimension(groupKey)
        try divides(groups, heads, groupKey)
        return ["num_key_value_heads": .int(groups)]
      default:
        throw .unsupported("attention_module", module, supported: ["aiayn_attention", "multiquery_attention"])
      }
    }
    if let otherwise { Assume(.hf, "num_key_value_heads", .int(otherwise)) }
    // The class has one group unless it is told more.
    Assume(.cs, "extra_attention_params.num_kv_groups") { (config) throws(ConfigFailure) in
      config["attention_module"] == "multiquery_attention" ? 1 : nil
    }
  }

  /// The size of a head, which HF names and the Model Zoo derives, and how many of its rows turn with the position: all, or
  /// the share under `partial` of the HF config. `isWritten`: both sides get theirs also where hidden size and heads say
  /// it.
  @ConfigRulesBuilder static func headSize(partial: String? = nil, isWritten: Bool = false) -> [ConfigRule] {
    Keys(["head_dim"] + (partial.map { [$0] } ?? []), ["attention_inner_dim", "rotary_dim"]) {
      (config) throws(ConfigFailure) in
      let (width, heads) = (try config.dimension("hidden_size"), try config.dimension("num_attention_heads"))
      let isGiven = config["head_dim"] != nil && config["head_dim"] != .null
      let size = isGiven ? try config.dimension("head_dim") : width / heads
      let (inner, overflow) = size.multipliedReportingOverflow(by: heads)
      guard size > 0, !overflow, inner <= ConfigRule.largestDimension else {
        throw ConfigFailure(
          "head_dim", "'head_dim' does not fit: \(heads) heads of a model of width \(width) have no usable size.")
      }
      var rotary = size
      if let partial, let share = config[partial], share != .null {
        guard let number = share.numberInPython?.double, number > 0, number <= 1 else {
          throw ConfigFailure(
            partial, "'\(partial)' is \(share.pythonDescription); it must be a number above 0 and up to 1.")
        }
        rotary = Int(Double(size) * number)
      }
      guard rotary > 0, rotary.isMultiple(of: 2) else {
        throw ConfigFailure(
          "head_dim", "Rotary embeddings turn pairs of rows, and a head has \(rotary): 'head_dim' must be even.")
      }
      var written: ConfigObject = ["rotary_dim": .int(rotary)]
      if isWritten || inner != width { written["attention_inner_dim"] = .int(inner) }
      return written
    } backward: { (config) throws(ConfigFailure) in
      let (width, heads) = (try config.dimension("hidden_size"), try config.dimension("num_heads"))
      let isGiven = config["attention_inner_dim"] != nil && config["attention_inner_dim"] != .null
      let inner = isGiven ? try config.dimension("attention_inner_dim") : width
      try divides(heads, inner, isGiven ? "attention_inner_dim" : "num_heads")
      guard let given = config["rotary_dim"], given != .null else {
        throw ConfigFailure("rotary_dim", "The config lacks 'rotary_dim', which must be specified.")
      }
      let rotary = try config.dimension("rotary_dim")
      let size = inner / heads
      guard rotary == size || partial != nil && rotary < size else {
        throw ConfigFailure(
          "rotary_dim",
          "Can't convert config with rotary_dim=\(rotary): in a HF model of this kind all \(size) rows of a head take "
            + "part in the rotary embedding.")
      }
      var written: ConfigObject = [:]
      if isWritten || inner != width { written["head_dim"] = .int(size) }
      if let partial { written[partial] = .double(Double(rotary) / Double(size)) }
      return written
    }
  }

  /// Biases of all four projections of the attention, by one HF flag; nil for a HF class that never has them. `otherwise`
  /// is what the class takes for a left-out flag. `isWritten`: a HF config gets the flag also where it is that.
  @ConfigRulesBuilder static func attentionBias(
    _ flag: String?, otherwise: Bool = false, isWritten: Bool = false
  ) -> [ConfigRule] {
    bias(flag, ["use_projection_bias_in_attention", "use_ffn_bias_in_attention"], otherwise, isWritten)
  }

  /// Biases of the feed-forward layers, by one HF flag; nil for a HF class that never has them.
  @ConfigRulesBuilder static func feedForwardBias(_ flag: String?) -> [ConfigRule] {
    bias(flag, ["use_ffn_bias"], false, false)
  }

  @ConfigRulesBuilder private static func bias(
    _ flag: String?, _ keys: [String], _ otherwise: Bool, _ isWritten: Bool
  ) -> [ConfigRule] {
    if let flag {
      Keys([flag], keys) { (config) throws(ConfigFailure) in
        let value = try ConfigType.flag.checked(config[flag] ?? .bool(otherwise), key: flag).value.isTruthyInPython
        return ConfigObject(uniqueKeysWithValues: keys.map { ($0, .bool(value)) })
      } backward: { (config) throws(ConfigFailure) in
        // The class has them unless it is told otherwise.
        var values: [Bool] = []
        for key in keys {
          values.append(try ConfigType.flag.checked(config[key] ?? true, key: key).value.isTruthyInPython)
        }
        guard values.allSatisfy({ $0 == values[0] }) else {
          throw ConfigFailure(
            keys[0],
            "Can't convert config with different values of \(keys.joined(separator: " and ")): HF has the one flag "
              + "'\(flag)' for them.")
        }
        return values[0] != otherwise || isWritten ? [flag: .bool(values[0])] : [:]
      }
    } else {
      for key in keys {
        Require(.cs, key, false)
        Assume(.cs, key, true)
        Fill(.cs, key, false)
      }
    }
  }

  // MARK: Feed-forward layers

  /// The activation of a gated feed-forward layer, which the Model Zoo names with the gate. `tanhGELU`: the tanh forms of
  /// GELU are taken as well, with a warning that the Model Zoo's is the exact one.
  @ConfigRulesBuilder static func glu(_ key: String = "hidden_act", tanhGELU: Bool = false) -> [ConfigRule] {
    if tanhGELU {
      Key(
        key, "nonlinearity",
        values: [
          "silu": "swiglu", "swish": "swiglu", "relu": "reglu", "gelu": "geglu", "gelu_pytorch_tanh": "geglu",
          "gelu_new": "geglu", "gelu_fast": "geglu",
        ])
      Caution(.hf, key) { config in
        guard case .string(let name)? = config[key], name.hasPrefix("gelu_") else { return nil }
        return "\(key) is \(name), the tanh form of GELU; the Model Zoo's geglu is the exact GELU, so outputs differ "
          + "by about 0.002. Coming back gives 'gelu'."
      }
    } else {
      Key(
        key, "nonlinearity",
        values: ["silu": "swiglu", "swish": "swiglu", "relu": "reglu", "gelu": "geglu"])
    }
    Assume(.cs, "nonlinearity", "gelu")
  }

  // MARK: What HF implies

  /// What every HF decoder of this kind implies about a Model Zoo config, and what that is told.
  ///
  /// `norm_first` and `use_ff_layer1_dropout` are the defaults; from 2.4 on params are checked, and the class refuses them.
  @ConfigRulesBuilder static func requirements(_ release: Release) -> [ConfigRule] {
    Require(.cs, "use_position_embedding", true)
    Require(.cs, "attention_type", "scaled_dot_product")
    Require(.cs, "embedding_layer_norm", false)
    Require(.cs, "use_bias_in_output", false)
    Require(.cs, "norm_first", true)
    Require(.cs, "use_ff_layer1_dropout", false)
    Require(.cs, "fixed_sparse_attention", .null)
    Assume(.cs, "position_embedding_type", "learned")
    Assume(.cs, "norm_type", "layernorm")
    Implied(.cs, "position_embedding_type", "rotary")
    Implied(.cs, "norm_type", "rmsnorm")
    if release < Release(2, 4) {
      Fill(.cs, "norm_first", true)
    }
  }

  /// HF's dropouts are settings of its training that the vendor's tool does not carry, so both sides must do without.
  @ConfigRulesBuilder static var noDropout: [ConfigRule] {
    for key in ["attention_dropout_rate", "dropout_rate", "embedding_dropout_rate"] {
      Require(.cs, key, 0.0)
      Fill(.cs, key, 0.0)
    }
    Ignore(.hf, "attention_dropout")
    Caution(.hf, "attention_dropout") { config in
      guard let rate = config["attention_dropout"], rate.isTruthyInPython else { return nil }
      return "attention_dropout=\(rate.pythonDescription) is not carried over; attention_dropout_rate is 0."
    }
  }

  /// Keys of the Model Zoo's GPT-2 class that change what it computes, with the values under which they do not. A family
  /// names those that it has rules for.
  @ConfigRulesBuilder static func refusedVariations(except known: Set<String> = []) -> [ConfigRule] {
    for (key, harmless) in variations where !known.contains(key) {
      RefuseKey(
        .cs, key, unless: harmless, reason: "it changes what the model computes, and a HF model of this kind cannot")
    }
  }

  private static let variations: KeyValuePairs<String, [ConfigValue]> = [
    "attention_sliding_window_length": [.null], "sliding_window_every_other_decoder_layer": [false],
    "attention_sink_tokens": [.null], "attention_vertical_column_spacing": [.null],
    "attention_vertical_column_width": [.null], "attention_chunk_size": [.null], "attention_qk_norm_layer": [.null],
    "attention_logit_softcapping": [.null], "final_logit_softcapping": [.null], "norm_first_sandwich": [false],
    "use_sink_token": [false], "moe.num_experts": [.null, 0, 1], "scale_qk_dot_by_layer_idx": [false],
    "cross_attention_layers": [[]], "rel_distance_mode": ["default"], "position_embedding_offset": [0],
    "num_extra_input_vocab_tokens": [0], "constant_pos_embedding": [.null],
    "memory_tokens.memory_tokens_enabled": [false],
  ]

  /// HF keys that say nothing about what the model computes.
  @ConfigRulesBuilder static var bookkeeping: [ConfigRule] {
    // A setting of how weights were split among devices, which transformers reads past.
    Ignore(.hf, "pretraining_tp")
    ConfigRule.huggingFaceBookkeeping
  }

  private static func divides(_ part: Int, _ whole: Int, _ key: String) throws(ConfigFailure) {
    guard whole.isMultiple(of: part) else {
      throw ConfigFailure(key, "'\(key)' does not fit: \(whole) is not divisible by \(part).")
    }
  }
}

extension ConfigObject {
  /// The size of a model under a path. Throws when there is none, or something else.
  func dimension(_ path: String) throws(ConfigFailure) -> Int {
    guard let value = value(at: path) else {
      throw ConfigFailure(path, "The config lacks '\(path)', which is needed.")
    }
    guard case .number(let number) = try ConfigType.dimension.checked(value, key: path).value, let length = number.int
    else { throw ConfigFailure(path, "'\(path)' must be an integer, not \(value.pythonDescription).") }
    return length
  }
}
