internal import Glibc
import OrderedCollections

/// BLOOM. Hugging Face on the left, Model Zoo on the right.
///
/// Facts: Model Zoo Release 2.10.0 (`bloom_hf_cs.py` of its checkpoint converters, `AlibiPositionEmbeddingLayer.py`) and
/// transformers' `modeling_bloom.py`.
extension Family {
  static let bloom = Family(
    "bloom",
    [
      Model(
        "bloom", csClass: "GPT2LMHeadModel (configured as BLOOM)", ladder: .gpt2.from(Release(1, 9)),
        offered: .steps(from: Release(1, 9)),
        bridges: Bloom.bridges(hfClass: "BloomForCausalLM") {
          DecoderParts.withHead(over: "word_embeddings.weight") { Bloom.body }
        }),
      Model(
        "bloom-headless", zooName: "bloom", csClass: "GPT2LMHeadModel (configured as BLOOM)",
        caveat: DecoderParts.headlessCaveat, ladder: .gpt2.from(Release(2, 1)), offered: .steps(from: Release(2, 1)),
        bridges: Bloom.bridges(hfClass: "BloomModel") {
          Bloom.body
          DecoderParts.addedHead()
        }),
    ])
}

enum Bloom {
  static func bridges(hfClass: String, @RulesBuilder tensors: () -> [Rule]) -> [Bridge] {
    let tensors = tensors()
    return [
      Bridge(
        covers: Release(2, 1)...Release.current, hfClass: hfClass, modelTypes: ["bloom"], folds: [.sidebandSparsity],
        muP: { _ in .folded(.decoderMuP(embeddingNorm: "embedding_ln_f.{leaf}")) }, tensors: { _ in tensors },
        config: config)
    ]
  }

  // MARK: Tensors

  /// Everything but the head.
  @RulesBuilder static var body: [Rule] {
    Rename("word_embeddings.weight", "embedding_layer.word_embeddings.weight", [.vocabulary, .hidden])
    Rename("word_embeddings_layernorm.{leaf}", "embedding_ln_f.{leaf}", [.hidden])
    DecoderParts.finalNorm("ln_f.{leaf}", bias: .always)
    DecoderParts.sharedEmbeddings()
    // transformers works out the slopes when it runs the model.
    Generated(
      .cs, "embedding_layer.position_embed_helper.slopes", beside: "embedding_layer.word_embeddings.weight"
    ) { (context) throws(RuleFailure) in
      let heads = try context.length(.heads)
      return .values(try Alibi.slopes(heads: heads), shape: [heads, 1])
    }
    Scope("h.{layer}", "transformer_decoder.layers.{layer}", count: .layers) {
      Rename("input_layernorm.{leaf}", "norm1.{leaf}", [.hidden])
      Rename("post_attention_layernorm.{leaf}", "norm3.{leaf}", [.hidden])
      // q, k and v of head 0, then of head 1, ...
      Split(
        "self_attention.query_key_value.{leaf}", into: DecoderParts.heads,
        Packing(rows: [.dimension(.heads), .parts, .rest]), [.hidden, .hidden])
      Rename("self_attention.dense.{leaf}", "self_attn.proj_output_dense_layer.{leaf}", [.hidden, .hidden])
      Rename("mlp.dense_h_to_4h.{leaf}", "ffn.ffn.0.linear_layer.{leaf}", [.inner, .hidden])
      Rename("mlp.dense_4h_to_h.{leaf}", "ffn.ffn.1.linear_layer.{leaf}", [.hidden, .inner])
    }
  }

  // MARK: Config

  @Sendable @ConfigRulesBuilder static func config(_ release: Release) -> [ConfigRule] {
    // What a left-out key means
    Assume(.hf, "hidden_size") { (config) throws(ConfigFailure) in
      config.stated("n_embed") ?? 64
    }
    Assume(.hf, defaults)
    Assume(.cs, "share_embedding_weights", true)
    Assume(.cs, "embedding_layer_norm", false)
    Assume(.cs, "attention_dropout_rate") { (config) throws(ConfigFailure) in try config.required("dropout_rate") }
    // The class drops out of the embeddings at the general rate then, and the HF model never.
    Assume(.cs, "embedding_dropout_rate") { (config) throws(ConfigFailure) in config["dropout_rate"] }
    // Embedding
    Key(dimension: "vocab_size")
    Key(flag: "tie_word_embeddings", "share_embedding_weights")
    Require(.cs, "embedding_dropout_rate", 0.0)
    Implied(.cs, "position_embedding_type", "alibi")
    Implied(.cs, "embedding_layer_norm", true)
    RefuseKey(.cs, "pos_scaling_factor", unless: 1, .null, reason: "the HF model does not scale positions")
    Ignore(.cs, "max_position_embeddings")
    // Decoder
    Key(dimension: "hidden_size")
    Key(dimension: "n_head", "num_heads")
    Key(dimension: "n_layer", "num_hidden_layers")
    Key(number: "attention_dropout", "attention_dropout_rate")
    Key(number: "hidden_dropout", "dropout_rate")
    Key(number: "layer_norm_epsilon")
    Key(number: "initializer_range")
    innerWidth
    // The class's own activation is the exact GELU; BLOOM's is the form with tanh.
    Require(.cs, "nonlinearity", "gelu_new", "gelu")
    Fill(.cs, "nonlinearity", "gelu_new")
    Caution(.cs, "nonlinearity") { config in
      config["nonlinearity"] == "gelu_new"
        ? nil : "The HF model computes GELU with tanh; the Model Zoo's 'gelu' is exact, so outputs differ a little."
    }
    Implied(.cs, "attention_type", "scaled_dot_product")
    Require(.hf, "apply_residual_connection_post_layernorm", false)
    Implied(.cs, "use_bias_in_output", false)
    Require(.cs, "norm_type", "layernorm")
    for flag in ["use_projection_bias_in_attention", "use_ffn_bias_in_attention", "use_ffn_bias"] {
      Fill(.cs, flag, true)
    }
    DecoderParts.requirements(attentionBias: true).except("embedding_layer_norm")
    // How transformers computes, not what.
    Ignore(
      .hf, "n_embed", "pretraining_tp", "slow_but_exact", "offset_alibi", "seq_length", "skip_bias_add",
      "skip_bias_add_qkv", "attention_softmax_in_fp32", "masked_softmax_fusion", "bias_dropout_fusion", "unk_token_id")
    ConfigRule.huggingFaceBookkeeping
  }

  /// What `bloom` configs leave out.
  private static let defaults: KeyValuePairs<String, ConfigValue> = [
    "tie_word_embeddings": true, "vocab_size": 250880, "n_layer": 2, "n_head": 8, "layer_norm_epsilon": 1e-5,
    "initializer_range": 0.02, "hidden_dropout": 0.0, "attention_dropout": 0.0,
  ]

  /// The feed-forward layer of the HF model is four times as wide as the model, and its heads share the width.
  @ConfigRulesBuilder private static var innerWidth: [ConfigRule] {
    Fill(.cs, "filter_size") { (config) throws(ConfigFailure) in
      let (width, overflow) = try config.requiredInt("hidden_size").multipliedReportingOverflow(by: 4)
      if overflow { throw ConfigFailure("hidden_size", "'hidden_size' is too large to be the width of a model.") }
      return .int(width)
    }
    Check(.cs) { (config) throws(ConfigFailure) in
      let hidden = try config.requiredInt("hidden_size")
      if let width = config["filter_size"], !width.isEqualInPython(.int(4 &* hidden)) {
        throw .unsupported("filter_size", width, supported: [.int(4 &* hidden)])
      }
      if let width = config["attention_inner_dim"], width != .null, !width.isEqualInPython(.int(hidden)) {
        throw .unsupported("attention_inner_dim", width, supported: [.int(hidden), .null])
      }
    }
    Ignore(.cs, "filter_size", "attention_inner_dim")
  }
}

/// Attention that falls off with distance instead of positions.
enum Alibi {
  /// How steeply each head's attention falls off.
  ///
  /// Powers of 2^(-8/heads) for a power of two heads. Else those of the power below, then every second one of the power
  /// above, as the paper's authors do. Computed in double, stored as float32. Throws for more heads than `mostHeads`, which
  /// no model has and a config may name.
  static func slopes(heads: Int) throws(RuleFailure) -> [Float] {
    guard (1...mostHeads).contains(heads) else {
      throw RuleFailure("there are \(heads) heads; slopes are made for 1 to \(mostHeads)")
    }
    let below = 1 << (Int.bitWidth - 1 - heads.leadingZeroBitCount)
    let whole = powers(below)
    guard below < heads else { return whole }
    let above = powers(2 * below)
    return whole + stride(from: 0, to: 2 * (heads - below), by: 2).map { above[$0] }
  }

  static let mostHeads = 65_536

  private static func powers(_ count: Int) -> [Float] {
    // The first is 2^(-8/count), and each is the first times so many of the same.
    let first = exp2(-exp2(-(log2(Double(count)) - 3)))
    return (0..<count).map { Float(first * pow(first, Double($0))) }
  }
}
