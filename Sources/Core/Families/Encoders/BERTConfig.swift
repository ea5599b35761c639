import OrderedCollections

/// The configs of BERT and of the models that share its encoder.
extension BERT {
  /// BERT's own, between Hugging Face and a release.
  static func config(for release: Release) -> [ConfigRule] {
    encoderConfig(release) + ownConfig(release) + activations(for: release)
  }

  /// What BERT, RoBERTa and ESM-2 have in common.
  @ConfigRulesBuilder static func encoderConfig(_ release: Release) -> [ConfigRule] {
    Key(dimension: "vocab_size")
    Key(flag: "tie_word_embeddings", "share_embedding_weights")
    Key(dimension: "hidden_size")
    Key(dimension: "num_attention_heads", "num_heads")
    Key(dimension: "num_hidden_layers")
    Key(dimension: "intermediate_size", "filter_size")
    Key(number: "hidden_dropout_prob", "dropout_rate")
    Key(number: "attention_probs_dropout_prob", "attention_dropout_rate")
    Key(number: "layer_norm_eps", "layer_norm_epsilon")
    Key(number: "initializer_range")
    Require(.hf, "is_decoder", false)
    Require(.hf, "add_cross_attention", false)
    Require(.cs, "attention_type", "scaled_dot_product")
    Require(.cs, "use_projection_bias_in_attention", true)
    Require(.cs, "use_ffn_bias_in_attention", true)
    Require(.cs, "use_ffn_bias", true)
    Require(.cs, "use_ffn_bias_in_mlm", true)
    Require(.cs, "use_output_bias_in_mlm", true)
    RefuseKey(
      .cs, "attention_module", unless: "aiayn_attention", reason: "the HF model has keys and values for every head")
    // What a left-out key means
    Assume(
      .hf,
      [
        "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
        "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "layer_norm_eps": 1e-12,
        "tie_word_embeddings": true,
      ])
    Assume(.cs, "share_embedding_weights", true)
    if release < Release(2, 0) {
      Fill(.cs, "enable_vts", false)
      Ignore(.cs, "mixed_precision", "enable_vts")
    } else {
      // Classes of 2.x know every size; where theirs are not those of transformers, what is left out is written.
      Assume(.cs, "layer_norm_epsilon", 1e-5)
      Ignore(.cs, "freeze_ffn_bias_in_glu", "attention_softmax_fp32")
    }
    ConfigRule.huggingFaceBookkeeping
  }

  /// Learned positions, all of which texts can use.
  @ConfigRulesBuilder static func ownConfig(_ release: Release) -> [ConfigRule] {
    Key("position_embedding_type", "position_embedding_type", values: ["absolute": "learned"])
    Key(dimension: "max_position_embeddings")
    Require(.hf, "type_vocab_size", 2)
    RefuseKey(.cs, "num_segments", unless: 2, .null, reason: "the HF model has two segments")
    Require(.cs, "disable_nsp", false)
    normsBehindLayers
    Assume(.hf, "vocab_size", 30522)
    Assume(.hf, "max_position_embeddings", 512)
  }

  /// BERT normalises behind the embeddings and behind each part of a layer.
  @ConfigRulesBuilder static var normsBehindLayers: [ConfigRule] {
    RefuseKey(.cs, "norm_first", unless: false, reason: "the HF model normalises behind each part of a layer")
    RefuseKey(.cs, "embedding_layer_norm", unless: true, reason: "the HF model normalises its embeddings")
    RefuseKey(.cs, "use_final_layer_norm", unless: false, reason: "the HF model has no norm behind its last layer")
  }

  /// Hugging Face's pooler is tanh and its masked-language head follows the encoder. Release 1.8 can say so; before, the
  /// pooler followed the encoder and the head was gelu, whatever the config said.
  @ConfigRulesBuilder static func activations(for release: Release) -> [ConfigRule] {
    Key(activation: "hidden_act", "encoder_nonlinearity", at: release)
    Assume(.hf, "hidden_act", "gelu")
    Assume(.cs, "encoder_nonlinearity", "gelu")
    Require(.cs, "pooler_nonlinearity", "tanh")
    Check(.cs) { (config) throws(ConfigFailure) in
      if let head = config["mlm_nonlinearity"], head != .null, head != encoderNonlinearity(config) {
        throw ConfigFailure(
          "mlm_nonlinearity",
          "Can't convert config with mlm_nonlinearity=\(head.pythonDescription) and encoder_nonlinearity="
            + "\(encoderNonlinearity(config).pythonDescription): a HF model has one activation for both.")
      }
    }
    Ignore(.cs, "mlm_nonlinearity")
    if release >= Release(1, 8) {
      Fill(.cs, "pooler_nonlinearity", "tanh")
      Fill(.cs, "mlm_nonlinearity") { (config) throws(ConfigFailure) in config["encoder_nonlinearity"] }
      namedPooler
    } else {
      Fill(.cs, "mlm_nonlinearity") { (config) throws(ConfigFailure) in
        config["encoder_nonlinearity"] == "gelu" ? nil : "gelu"
      }
      Caution(.hf, "hidden_act") { config in
        let activation = encoderNonlinearity(config, key: "hidden_act")
        return activation == "gelu"
          ? nil
          : "The masked-language head of the HF model uses hidden_act=\(activation.pythonDescription), that of "
            + "\(release) always gelu. Convert to cs-1.8 or later to keep it."
      }
    }
  }

  /// A pooler that the config does not describe follows the encoder.
  @ConfigRulesBuilder static var namedPooler: [ConfigRule] {
    Check(.cs) { (config) throws(ConfigFailure) in
      let encoder = encoderNonlinearity(config)
      if config["pooler_nonlinearity"] == nil, encoder != "tanh" {
        throw ConfigFailure(
          "pooler_nonlinearity",
          "Can't convert config without pooler_nonlinearity: the pooler then follows encoder_nonlinearity="
            + "\(encoder.pythonDescription), and the pooler of a HF model is always tanh.")
      }
    }
  }

  static func encoderNonlinearity(_ config: ConfigObject, key: String = "encoder_nonlinearity") -> ConfigValue {
    config[key] ?? "gelu"
  }
}
