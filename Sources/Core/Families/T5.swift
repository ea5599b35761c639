import OrderedCollections

/// T5 and the encoder-decoder Transformer, which share one class in the Model Zoo. Hugging Face on the left, Model Zoo on
/// the right.
///
/// Release 1.6 of the Model Zoo kept its layers under the names of Hugging Face; 1.7 renamed every key.
///
/// Facts: Model Zoo Release 1.8.0 (`t5.py` of its checkpoint converters, `t5_model.py`, `model.py`) and transformers'
/// `modeling_t5.py`.
extension Family {
  static let t5 = Family(
    "t5",
    [
      Model(
        "t5", csClass: T5.csClass, ladder: T5.ladder, offered: T5.offered, bridges: [T5.bridge]),
      Model(
        "transformer", csClass: T5.csClass, ladder: T5.ladder, offered: T5.offered, bridges: []),
    ])
}

enum T5 {
  static let csClass = "T5ForConditionalGeneration"
  private static let stack = "{stack=encoder|decoder}"

  static let bridge = Bridge(
    covers: Release(1, 7)...Release(1, 8), hfClass: "T5ForConditionalGeneration", modelTypes: ["t5"],
    folds: [.anySparsity], tensors: { _ in huggingFace }, config: config)

  /// The pairs of releases that the vendor's tools offer.
  static let offered = OfferedUpgrades.steps(
    from: Release(1, 8), every: Release(1, 6)...Release(1, 8), Release(1, 8)...Release(2, 0))

  // MARK: Tensors

  /// The layers, which Hugging Face and release 1.6 name alike.
  @RulesBuilder static var layers: [Rule] {
    Scope("\(stack).block.{layer}", "\(stack).layers.{layer}") {
      attention("layer.0.SelfAttention", "self_attn")
      Rename("layer.0.layer_norm.{leaf}", "norm1.{leaf}")
      Rename("layer.1.layer_norm.{leaf}", "norm2.{leaf}")
      Rename("layer.2.layer_norm.{leaf}", "norm3.{leaf}")
    }
    // Cross-attention comes second in the decoder and pushes the feed-forward layer to the third place.
    Scope("decoder.block.{layer}", "decoder.layers.{layer}") {
      attention("layer.1.EncDecAttention", "multihead_attn")
      feedForward("layer.2.DenseReluDense", "ffn.ffn")
    }
    Scope("encoder.block.{layer}", "encoder.layers.{layer}") { feedForward("layer.1.DenseReluDense", "ffn.ffn") }
    Rename("\(stack).final_layer_norm.{leaf}", "\(stack).norm.{leaf}")
    Rename("lm_head.{leaf}", "lm_head.{leaf}")
  }

  @RulesBuilder static func attention(_ left: KeyPattern, _ right: KeyPattern) -> [Rule] {
    Scope(left, right) {
      Rename("q.{leaf}", "proj_q_dense_layer.{leaf}")
      Rename("k.{leaf}", "proj_k_dense_layer.{leaf}")
      Rename("v.{leaf}", "proj_v_dense_layer.{leaf}")
      Rename("o.{leaf}", "proj_output_dense_layer.{leaf}")
    }
  }

  @RulesBuilder static func feedForward(_ left: KeyPattern, _ right: KeyPattern) -> [Rule] {
    Scope(left, right) {
      Rename("wi.{leaf}", "0.linear_layer.{leaf}")
      Rename("wo.{leaf}", "1.linear_layer.{leaf}")
    }
  }

  /// Between Hugging Face and the Model Zoo.
  @RulesBuilder static var huggingFace: [Rule] {
    layers
    Rename("\(stack).embed_tokens.weight", "\(stack)_embeddings.word_embeddings.weight")
    Only(.hf, "shared.weight", "both stacks hold the same matrix")
    // UMT5, which has the relative bias in every layer, is another model.
    Rename(
      "\(stack).block.0.layer.0.SelfAttention.relative_attention_bias.{leaf}",
      "relative_position_\(stack).relative_attention_bias.{leaf}")
    // One matrix under up to four names, of which a file may hold any.
    // What is written holds a copy as `shared.weight`, of the decoder's if there is one.
    Tie(.hf, "shared.weight", to: "decoder.embed_tokens.weight", isWritten: true)
    Tie(.hf, "shared.weight", to: "encoder.embed_tokens.weight", isWritten: true)
    Tie(.hf, "encoder.embed_tokens.weight", to: "shared.weight")
    Tie(.hf, "decoder.embed_tokens.weight", to: "shared.weight")
    Tie(.hf, "lm_head.weight", to: "shared.weight", when: RuleCondition.flag(.hf, "tie_word_embeddings"))
    Tie(
      .cs, "encoder_embeddings.word_embeddings.weight", to: "lm_head.weight",
      when: RuleCondition.flag(.cs, "share_embedding_weights"))
    Tie(
      .cs, "decoder_embeddings.word_embeddings.weight", to: "lm_head.weight",
      when: RuleCondition.flag(.cs, "share_embedding_weights"))
    // What a config may not say, but the checkpoint does.
    Refuse(
      .cs, "\(stack)_embeddings.position_embeddings.weight",
      "HF does not support position_embedding_type=\"learned_absolute\"")
    Refuse(
      .cs, "\(stack)_embeddings.position_embeddings",
      "HF does not support position_embedding_type=\"fixed\"")
    for stack in ["encoder", "decoder"] {
      Needed(
        .cs, "relative_position_\(stack).relative_attention_bias.weight",
        "HF supports position_embedding_type=\"relative\" only")
    }
  }

  /// Between release 1.6 and 1.7.
  @RulesBuilder static var renamed: [Rule] {
    layers
    Rename("\(stack)_token_embedding.weight", "\(stack)_embeddings.word_embeddings.weight")
    Only(.older, "\(stack).embed_tokens.weight", "a second name of the token embedding")
    Rename(
      "\(stack).absolute_position_embedding.weight",
      "\(stack)_embeddings.position_embeddings.weight")
    // Fixed positions are a buffer and not a module.
    Rename("\(stack).absolute_position_embedding", "\(stack)_embeddings.position_embeddings")
    // Release 1.6 kept the relative bias in every layer and used the first.
    Repeated(
      "\(stack).block.{layer}.layer.0.SelfAttention.relative_attention_bias.{leaf}",
      "relative_position_\(stack).relative_attention_bias.{leaf}", over: "layer",
      beside: "\(stack).block.{layer}.layer.0.SelfAttention.q.weight")
  }

  // MARK: Config

  @ConfigRulesBuilder @Sendable static func config(for release: Release) -> [ConfigRule] {
    // Embedding
    Key(dimension: "vocab_size", "src_vocab_size")
    Key("tie_word_embeddings", "share_embedding_weights")
    Key("relative_attention_num_buckets")
    Require(.hf, "relative_attention_max_distance", 128)
    Require(.cs, "position_embedding_type", "relative")
    Require(.cs, "share_encoder_decoder_embedding", true)
    // Layers
    Key(dimension: "d_model")
    Key(dimension: "d_kv")
    Key(dimension: "d_ff")
    Key(dimension: "num_layers", "encoder_num_hidden_layers")
    Key(dimension: "num_decoder_layers", "decoder_num_hidden_layers")
    Key(dimension: "num_heads")
    Key("dropout_rate")
    Key("layer_norm_epsilon")
    Key(
      "feed_forward_proj", "encoder_nonlinearity",
      forward: { (value, _) throws(ConfigFailure) in try ungated(value, "feed_forward_proj") },
      backward: { (value, _) throws(ConfigFailure) in try ungated(value, "encoder_nonlinearity") })
    Fill(.cs, "decoder_nonlinearity") { (config) throws(ConfigFailure) in config["encoder_nonlinearity"] }
    Require(.hf, "is_encoder_decoder", true)
    Require(.cs, "use_projection_bias_in_attention", false)
    Require(.cs, "use_dropout_outside_residual_path", true)
    Require(.cs, "use_pre_encoder_decoder_dropout", false)
    // Release 1.8 turned the meaning of this key round.
    Require(.cs, "use_pre_encoder_decoder_layer_norm", .bool(release >= Release(1, 8)))
    Require(.cs, "use_ffn_bias", false)
    Require(.cs, "use_transformer_initialization", false)
    // Keys of which Hugging Face has one where the Model Zoo has two
    sameAs("encoder_nonlinearity", "decoder_nonlinearity", orNull: false)
    sameAs("src_vocab_size", "tgt_vocab_size", orNull: true)
    sameAs("dropout_rate", "relu_dropout_rate", orNull: true)
    // Sequence lengths, which only the Model Zoo fixes
    Fill(.cs, "src_max_position_embeddings", 512)
    Fill(.cs, "tgt_max_position_embeddings", 512)
    Ignore(.cs, "src_max_position_embeddings", "tgt_max_position_embeddings")
    // What a left-out key means
    Assume(.hf, "vocab_size", 32128)
    Assume(.hf, "d_model", 512)
    Assume(.hf, "d_kv", 64)
    Assume(.hf, "d_ff", 2048)
    Assume(.hf, "num_layers", 6)
    Assume(.hf, "num_decoder_layers") { (config) throws(ConfigFailure) in
      try config.required("num_layers")
    }
    Assume(.hf, "num_heads", 8)
    Assume(.hf, "relative_attention_num_buckets", 32)
    Assume(.hf, "dropout_rate", 0.1)
    Assume(.hf, "layer_norm_epsilon", 1e-6)
    Assume(.hf, "feed_forward_proj", "relu")
    Assume(.hf, "tie_word_embeddings", true)
    Assume(.cs, "relative_attention_num_buckets", 32)
    Assume(.cs, "share_embedding_weights", true)
    Assume(.cs, "layer_norm_epsilon", 1e-5)
    cautions
    // transformers derives these two from feed_forward_proj.
    Ignore(.hf, "dense_act_fn", "is_gated_act")
    Ignore(.cs, "mixed_precision", "enable_vts")
    ConfigRule.huggingFaceBookkeeping
  }

  /// A gated feed-forward layer has two input matrices, `wi_0` and `wi_1`, and the Model Zoo up to 1.8 has room for one.
  static func ungated(_ activation: ConfigValue, _ key: String) throws(ConfigFailure) -> ConfigValue {
    guard case .string(let name) = activation, name.hasPrefix("gated-") else { return activation }
    throw ConfigFailure(
      key,
      "Can't convert config with \(key)=\(name): releases up to cs-1.8 have no gated feed-forward layer (wi_0 and wi_1). "
        + "Only relu and gelu are supported.")
  }

  /// A key of the Model Zoo that must repeat another one, because Hugging Face has one key for both.
  @ConfigRulesBuilder static func sameAs(
    _ first: String, _ second: String, orNull: Bool, file: String = #fileID, line: Int = #line
  ) -> [ConfigRule] {
    Check(.cs, file: file, line: line) { (config) throws(ConfigFailure) in
      guard let value = config[second], !(orNull && value == .null) else { return }
      let expected = try config.required(first)
      guard value.isEqualInPython(expected) else {
        throw ConfigFailure(
          second,
          "Can't convert config with \(second)=\(value.pythonDescription) and \(first)=\(expected.pythonDescription): "
            + "a HF model has one value for both.")
      }
    }
    Ignore(.cs, second)
  }

  @ConfigRulesBuilder static var cautions: [ConfigRule] {
    Caution(.cs, "use_t5_layer_norm") { config in
      config["use_t5_layer_norm"].map { !$0.isTruthyInPython } ?? false
        ? "use_t5_layer_norm is false, but a HF model always normalises without mean and bias: its results will differ."
        : nil
    }
    Caution(.cs, "extra_ids") { config in
      guard let extra = config["extra_ids"], extra.isTruthyInPython else { return nil }
      return "The Model Zoo adds extra_ids=\(extra.pythonDescription) to src_vocab_size when it builds a model. "
        + "If the embeddings have that many more rows, raise vocab_size in the HF config."
    }
    Ignore(.cs, "use_t5_layer_norm", "extra_ids")
  }

  // MARK: Releases

  static let ladder = Ladder(
    from: Release(1, 6),
    [
      Revision(
        Release(1, 7), coversAllKeys: true,
        entries: .drop(
          reason: "The T5 model changed significantly between cs-1.6 and cs-1.7, so the optimizer state and the other "
            + "entries beside the model are left out."),
        tensors: renamed),
      Revision(Release(1, 8), takesPrefix: true, config: turnedFlag),
    ])

  /// Release 1.8 turned the meaning of one key round.
  @ConfigRulesBuilder static var turnedFlag: [ConfigRule] {
    Key(
      "use_pre_encoder_decoder_layer_norm", "use_pre_encoder_decoder_layer_norm",
      forward: { (value, _) throws(ConfigFailure) in .bool(!value.isTruthyInPython) },
      backward: { (value, _) throws(ConfigFailure) in .bool(!value.isTruthyInPython) })
  }
}
