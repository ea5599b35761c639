import OrderedCollections

/// GPT-NeoX. Hugging Face on the left, Model Zoo on the right.
///
/// Facts: Model Zoo Release 1.8.0 and 2.10.0 (`gpt_neox_hf_cs.py` of the checkpoint converters; the Model Zoo runs it as
/// `GPTJModel` with two norms in each block) and transformers' `modeling_gpt_neox.py`.
extension Family {
  static let gptNeoX = Family(
    "gpt-neox",
    [
      Model(
        "gpt-neox", csClass: "GPTJModel (configured as neox)", ladder: .gptj,
        offered: .steps(from: Release(1, 8), every: Release(1, 8)...Release(2, 0)),
        bridges: GPTNeoX.bridges(hfClass: "GPTNeoXForCausalLM") {
          Rename("embed_out.weight", "lm_head.weight", [.vocabulary, .hidden])
          // The spelling of transformers 5.
          Alias(.hf, "lm_head.weight", for: "embed_out.weight", yields: true)
          Refuse(.cs, "lm_head.bias", "the head of the HF model has no bias")
          Scope("gpt_neox", "") { GPTNeoX.body }
          Tie(
            .hf, "embed_out.weight", to: "gpt_neox.embed_in.weight",
            when: .flag(.hf, "tie_word_embeddings"))
        }),
      Model(
        "gpt-neox-headless", zooName: "gpt-neox", csClass: "GPTJModel (configured as neox)",
        caveat: DecoderParts.headlessCaveat, ladder: .gptj, offered: .steps(from: Release(2, 1)),
        bridges: GPTNeoX.bridges(hfClass: "GPTNeoXModel") {
          GPTNeoX.body
          DecoderParts.addedHead()
        }),
    ])
}

enum GPTNeoX {
  static func bridges(hfClass: String, @RulesBuilder tensors: () -> [Rule]) -> [Bridge] {
    let tensors = tensors()
    return [Release(1, 7)...Release(1, 8), Release(2, 1)...Release.current].map { releases in
      Bridge(
        covers: releases, hfClass: hfClass, modelTypes: ["gpt_neox"],
        folds: [releases.lowerBound < Release(2, 0) ? .anySparsity : .sidebandSparsity],
        tensors: { _ in tensors }, config: config)
    }
  }

  /// Everything but the head.
  @RulesBuilder static var body: [Rule] {
    Rename("embed_in.weight", "embedding_layer.word_embeddings.weight", [.vocabulary, .hidden])
    DecoderParts.finalNorm("final_layer_norm.{leaf}", bias: .always)
    DecoderParts.sharedEmbeddings()
    let bias = DeclaredShape.Presence.when(.flag(.cs, "use_projection_bias_in_attention", otherwise: true))
    Scope("layers.{layer}", "transformer_decoder.layers.{layer}", count: .layers) {
      Rename("input_layernorm.{leaf}", "norm1.{leaf}", [.hidden])
      Rename("post_attention_layernorm.{leaf}", "norm3.{leaf}", [.hidden])
      Split(
        "attention.query_key_value.{leaf}",
        into: [
          "self_attn.proj_q_dense_layer.{leaf}", "self_attn.proj_k_dense_layer.{leaf}",
          "self_attn.proj_v_dense_layer.{leaf}",
        ],
        Packing(
          rows: [.dimension(.cs("num_heads")), .parts, .rest], square: true,
          rotary: [RotaryPairs(parts: [0, 1], heads: .cs("num_heads"), rotary: .cs("rotary_dim"))]),
        [.hidden, .hidden], bias: bias)
      Rename("attention.dense.{leaf}", "self_attn.proj_output_dense_layer.{leaf}", [.hidden, .hidden], bias: bias)
      Rename("mlp.dense_h_to_4h.{leaf}", "ffn.ffn.0.linear_layer.{leaf}", [.inner, .hidden])
      Rename("mlp.dense_4h_to_h.{leaf}", "ffn.ffn.1.linear_layer.{leaf}", [.hidden, .inner])
      Generated(.hf, "attention.bias", beside: "attention.query_key_value.bias") { (context) throws(RuleFailure) in
        try context.causalMask()
      }
      Generated(.hf, "attention.masked_bias", beside: "attention.query_key_value.bias") { (_) throws(RuleFailure) in
        .scalar(-1e9)
      }
      Generated(.hf, "attention.rotary_emb.inv_freq", beside: "attention.query_key_value.bias") {
        (context) throws(RuleFailure) in
        .inverseFrequencies(
          base: try context.number(.hf, "rotary_emb_base"), dimension: try context.length(.cs("rotary_dim")))
      }
    }
  }

  @Sendable @ConfigRulesBuilder static func config(_ release: Release) -> [ConfigRule] {
    // Embedding
    Key(dimension: "vocab_size")
    Key(dimension: "max_position_embeddings")
    Key(flag: "tie_word_embeddings", "share_embedding_weights")
    Key(
      "rotary", "position_embedding_type",
      forward: { (_, _) throws(ConfigFailure) in
        throw ConfigFailure("rotary", "rotary should not appear in the config: GPT-NeoX is always rotary.")
      },
      backward: { (value, _) throws(ConfigFailure) in
        guard value == "rotary" else { throw .unsupported("position_embedding_type", value, supported: ["rotary"]) }
        return nil
      })
    Key(
      "rotary_pct", "rotary_dim",
      forward: { (value, config) throws(ConfigFailure) in try rotaryRows(of: config, share: value) },
      backward: { (value, config) throws(ConfigFailure) in try rotaryShare(of: config, rows: value) })
    // Decoder
    Key(dimension: "hidden_size")
    Key(dimension: "num_attention_heads", "num_heads")
    Key(dimension: "num_hidden_layers")
    Key(dimension: "intermediate_size", "filter_size")
    Key(activation: "hidden_act", at: release)
    Key(number: "layer_norm_eps", "layer_norm_epsilon")
    Key(number: "initializer_range")
    Require(.hf, "use_parallel_residual", true)
    Require(.hf, "scale_attn_weights", true)
    if release < Release(2, 0) {
      RefuseKey(.hf, "attention_bias", unless: true, reason: "the target has biases in its attention")
      DecoderParts.requirements(attentionBias: true)
      Fill(.cs, "use_projection_bias_in_attention", true)
      Fill(.cs, "use_ffn_bias_in_attention", true)
      // The dropouts of the HF model are no part of its config in the versions that these releases read.
      Require(.cs, "attention_dropout_rate", 0.0)
      Require(.cs, "residual_dropout_rate", 0.0)
      DecoderParts.plainRotary
      RopeScaling.none
    } else {
      DecoderConfig.attentionBias("attention_bias", otherwise: true)
      DecoderParts.requirements(attentionBias: nil)
      Key(number: "attention_dropout", "attention_dropout_rate")
      Key(number: "hidden_dropout", "residual_dropout_rate")
      Require(.cs, "norm_type", "layernorm")
      DecoderParts.fixedRotaryBase
      RopeScaling.scaling(kinds: [.linear, .yarn, .longrope])
    }
    // What each side is told explicitly
    Implied(.cs, "attention_type", "scaled_dot_product")
    Implied(.cs, "use_untied_layer_norm", true)
    Fill(.cs, "use_ffn_bias", true)
    Implied(.cs, "use_bias_in_output", false)
    Implied(.cs, "embedding_dropout_rate", 0.0)
    Fill(.cs, "residual_dropout_rate", 0.0)
    Fill(.cs, "attention_dropout_rate", 0.0)
    Fill(.hf, "rotary_pct", 1.0)
    Implied(.hf, "rotary_emb_base", 10000)
    // What a left-out key means
    Assume(.hf, "vocab_size", 50432)
    Assume(.hf, "hidden_size", 6144)
    Assume(.hf, "num_hidden_layers", 44)
    Assume(.hf, "num_attention_heads", 64)
    Assume(.hf, "intermediate_size", 24576)
    Assume(.hf, "hidden_act", "gelu")
    Assume(.hf, "rotary_pct") { (config) throws(ConfigFailure) in
      rotaryParameter("partial_rotary_factor", of: config) ?? 0.25
    }
    Assume(.hf, "rotary_emb_base") { (config) throws(ConfigFailure) in
      rotaryParameter("rope_theta", of: config) ?? 10000
    }
    RefuseKey(.hf, "rope_theta", unless: 10000, .null, reason: "the target has the base 10000")
    Ignore(.hf, "partial_rotary_factor")
    Assume(.hf, "max_position_embeddings", 2048)
    Assume(.hf, "initializer_range", 0.02)
    Assume(.hf, "layer_norm_eps", 1e-5)
    Assume(.hf, "tie_word_embeddings", false)
    Assume(.hf, "use_parallel_residual", true)
    Assume(.cs, "use_untied_layer_norm", false)
    GPTJ.modelZooDefaults
    ConfigRule.huggingFaceBookkeeping
  }

  /// Rotary rows of a head: its size times `rotary_pct`, cut to an integer.
  private static func rotaryRows(of config: ConfigObject, share: ConfigValue) throws(ConfigFailure) -> ConfigValue {
    let size = try headSize(of: config, heads: "num_attention_heads")
    guard let share = share.numberInPython, let rows = Int(exactly: (Double(size) * share.double).rounded(.towardZero))
    else { throw ConfigFailure("rotary_pct", "'rotary_pct' must be a number, not \(share.pythonDescription).") }
    guard rows > 0, rows % 2 == 0 else {
      throw ConfigFailure(
        "rotary_pct",
        "A rotary_pct of \(share.double) gives each head of \(size) rows \(rows) rotary ones; rotary embeddings turn pairs, "
          + "so there must be an even number of them.")
    }
    return .int(rows)
  }

  /// `rotary_pct`: the rotary rows of a head over its size.
  private static func rotaryShare(of config: ConfigObject, rows: ConfigValue) throws(ConfigFailure) -> ConfigValue {
    let size = try headSize(of: config, heads: "num_heads")
    guard let rows = rows.numberInPython else {
      throw ConfigFailure("rotary_dim", "'rotary_dim' must be a number, not \(rows.pythonDescription).")
    }
    guard rows.double.truncatingRemainder(dividingBy: 2) == 0 else {
      throw ConfigFailure(
        "rotary_dim", "'rotary_dim' is \(rows.pythonDescription); rotary embeddings turn pairs of rows.")
    }
    return .double(rows.double / Double(size))
  }

  /// A value that transformers 5 keeps in `rope_parameters` and older versions in the config itself; nil for none.
  private static func rotaryParameter(_ key: String, of config: ConfigObject) -> ConfigValue? {
    config.value(at: "rope_parameters.\(key)") ?? config[key]
  }

  private static func headSize(of config: ConfigObject, heads: String) throws(ConfigFailure) -> Int {
    let width = try config.requiredInt("hidden_size")
    let count = try config.requiredInt(heads)
    guard count > 0, width >= count else {
      throw ConfigFailure(heads, "A hidden_size of \(width) cannot be divided among \(count) heads.")
    }
    return width / count
  }
}
