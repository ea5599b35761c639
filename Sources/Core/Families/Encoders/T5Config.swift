import OrderedCollections

/// The configs of T5.
extension T5 {
  @ConfigRulesBuilder @Sendable static func config(for release: Release) -> [ConfigRule] {
    embeddingConfig
    // Layers
    Key(dimension: "d_model")
    Key(dimension: "d_kv")
    Key(dimension: "d_ff")
    Key(dimension: "num_layers", "encoder_num_hidden_layers")
    Key(dimension: "num_decoder_layers", "decoder_num_hidden_layers")
    Key(dimension: "num_heads")
    Key(number: "dropout_rate")
    Key(number: "layer_norm_epsilon")
    activations(for: release)
    norms(for: release)
    Require(.hf, "is_encoder_decoder", true)
    Require(.cs, "use_projection_bias_in_attention", false)
    Require(.cs, "use_dropout_outside_residual_path", true)
    Require(.cs, "use_pre_encoder_decoder_dropout", false)
    // Release 1.8 turned the meaning of this key round.
    Require(.cs, "use_pre_encoder_decoder_layer_norm", .bool(release >= Release(1, 8)))
    Require(.cs, "use_ffn_bias", false)
    Require(.cs, "use_transformer_initialization", false)
    RefuseKey(
      .cs, "attention_module", unless: "aiayn_attention", reason: "the HF model has keys and values for every head")
    RefuseKey(.cs, "tie_encoder_decoder", unless: false, .null, reason: "the stacks of the HF model are two")
    // Keys of which Hugging Face has one where the Model Zoo has two
    sameAs("encoder_nonlinearity", "decoder_nonlinearity")
    sameAs("src_vocab_size", "tgt_vocab_size")
    sameAs("dropout_rate", "relu_dropout_rate")
    // Sequence lengths, which only the Model Zoo fixes
    Fill(.cs, "src_max_position_embeddings", 512)
    Fill(.cs, "tgt_max_position_embeddings", 512)
    Ignore(.cs, "src_max_position_embeddings", "tgt_max_position_embeddings")
    defaults
    // transformers derives these two from feed_forward_proj.
    Ignore(.hf, "dense_act_fn", "is_gated_act")
    DescribesNothing(.hf, ["initializer_factor", "n_positions", "output_past"])
    Ignore(.cs, "mixed_precision", "enable_vts", "attention_softmax_fp32")
    ConfigRule.huggingFaceBookkeeping
  }

  @ConfigRulesBuilder private static var embeddingConfig: [ConfigRule] {
    Key(dimension: "vocab_size", "src_vocab_size")
    // The Model Zoo adds extra_ids rows when it builds a model; the rows of a checkpoint decide, see `countedWords`.
    Caution(.cs, "extra_ids") { config in
      guard let extra = config["extra_ids"], extra.isTruthyInPython else { return nil }
      return
        "The Model Zoo adds extra_ids=\(extra.pythonDescription) to src_vocab_size when it builds a model. vocab_size "
        + "counts them where a checkpoint has their rows; of a config that is converted alone it does not."
    }
    Ignore(.cs, "extra_ids")
    Key(flag: "tie_word_embeddings", "share_embedding_weights")
    Key(dimension: "relative_attention_num_buckets")
    Require(.hf, "relative_attention_max_distance", 128)
    Require(.cs, "position_embedding_type", "relative")
    Require(.cs, "share_encoder_decoder_embedding", true)
  }

  /// What a left-out key means.
  @ConfigRulesBuilder private static var defaults: [ConfigRule] {
    Assume(.hf, "vocab_size", 32128)
    Assume(.hf, "d_model", 512)
    Assume(.hf, "d_kv", 64)
    Assume(.hf, "d_ff", 2048)
    Assume(.hf, "num_layers", 6)
    Assume(.hf, "num_decoder_layers", orNull: true) { (config) throws(ConfigFailure) in
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
  }

  // MARK: Activations

  /// Names that both sides have for the functions of feed-forward layers. Gated ones came with 2.0.
  private static let activations: [(hf: ConfigValue, cs: ConfigValue)] = [
    ("relu", "relu"), ("gelu", "gelu"), ("gated-relu", "reglu"), ("gated-gelu", "geglu"), ("gated-silu", "swiglu"),
  ]

  @ConfigRulesBuilder private static func activations(for release: Release) -> [ConfigRule] {
    Key(
      "feed_forward_proj", "encoder_nonlinearity",
      forward: { (value, _) throws(ConfigFailure) in
        try ungated(value, "feed_forward_proj", release)
        guard let pair = known(release).first(where: { $0.hf == value }) else {
          throw .unsupported("feed_forward_proj", value, supported: known(release).map(\.hf))
        }
        return pair.cs
      },
      backward: { (value, _) throws(ConfigFailure) in
        try ungated(value, "encoder_nonlinearity", release)
        guard let pair = known(release).first(where: { $0.cs == value }) else {
          throw .unsupported("encoder_nonlinearity", value, supported: known(release).map(\.cs))
        }
        return pair.hf
      })
    Fill(.cs, "decoder_nonlinearity") { (config) throws(ConfigFailure) in config["encoder_nonlinearity"] }
    Caution(.hf, "feed_forward_proj") { config in
      config["feed_forward_proj"] == "gated-gelu"
        ? "feed_forward_proj=gated-gelu of a HF model is the GELU in its tanh form, geglu of the Model Zoo the exact one: "
          + "results differ slightly." : nil
    }
    Caution(.cs, "encoder_nonlinearity") { config in
      config["encoder_nonlinearity"] == "geglu"
        ? "encoder_nonlinearity=geglu of the Model Zoo is the exact GELU, gated-gelu of a HF model its tanh form: results "
          + "differ slightly." : nil
    }
  }

  private static func known(_ release: Release) -> [(hf: ConfigValue, cs: ConfigValue)] {
    release >= Release(2, 0) ? activations : Array(activations.prefix(2))
  }

  /// A gated feed-forward layer has two input matrices, `wi_0` and `wi_1`, and the Model Zoo up to 1.8 has room for one.
  private static func ungated(_ activation: ConfigValue, _ key: String, _ release: Release) throws(ConfigFailure) {
    guard release < Release(2, 0), case .string(let name) = activation, name.hasPrefix("gated-") else { return }
    throw ConfigFailure(
      key,
      "Can't convert config with \(key)=\(name): releases up to cs-1.8 have no gated feed-forward layer (wi_0 and wi_1). "
        + "Only relu and gelu are supported.")
  }

  // MARK: Norms and pairs

  @ConfigRulesBuilder private static func norms(for release: Release) -> [ConfigRule] {
    if release >= Release(2, 0) {
      Implied(.cs, "norm_type", "rmsnorm")
    } else {
      Caution(.cs, "use_t5_layer_norm") { config in
        config["use_t5_layer_norm"].map { !$0.isTruthyInPython } ?? false
          ? "use_t5_layer_norm is false, but a HF model always normalises without mean and bias: its results will differ."
          : nil
      }
      Ignore(.cs, "use_t5_layer_norm")
    }
  }

  /// A key of the Model Zoo that must repeat another one if it is not null, because Hugging Face has one key for both.
  @ConfigRulesBuilder private static func sameAs(
    _ first: String, _ second: String, file: String = #fileID, line: Int = #line
  ) -> [ConfigRule] {
    Check(.cs, file: file, line: line) { (config) throws(ConfigFailure) in
      guard let value = config[second], value != .null else { return }
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
}
