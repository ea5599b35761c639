import OrderedCollections

/// ESM-2, BERT for proteins. Hugging Face on the left, Model Zoo on the right.
///
/// Facts: Model Zoo Release 2.10.0 (`esm2.py` of the checkpoint converters, `esm2_model.py`) and transformers'
/// `modeling_esm.py`.
extension Family {
  static let esm2 = Family(
    "esm-2",
    [
      Model(
        "esm-2", zooName: "esm2", csClass: "Esm2PretrainModel", ladder: Ladder(from: Release(2, 1), []),
        offered: .steps(from: Release(2, 1)),
        bridges: [
          Bridge(
            covers: Release(2, 1)...Release.current, hfClass: "EsmForMaskedLM", modelTypes: ["esm"],
            folds: [.sidebandSparsity], tensors: ESM2.tensors, config: ESM2.config)
        ])
    ])
}

enum ESM2 {
  // MARK: Tensors

  @Sendable @RulesBuilder static func tensors(_ release: Release) -> [Rule] {
    Scope("esm", "bert_encoder") {
      BERT.words()
      When(!isRotary) { BERT.positions(release) }
      When(isRotary) {
        for buffer in ["position_embeddings.weight", "position_ids"] {
          Only(.hf, KeyPattern("embeddings.\(buffer)"), "the model has rotary embeddings and no other positions")
        }
      }
      BERT.layerNorm(
        "embeddings.layer_norm", "embed_ln_f", presence: .when(.flag(.cs, "embedding_layer_norm")))
      BERT.layers(norms: "attention.LayerNorm", "LayerNorm") {
        When(!isRotary) { BERT.queriesAndKeys }
        When(isRotary) {
          Rotate("attention.self.query.{leaf}", "self_attn.proj_q_dense_layer.{leaf}", pairs, [.hidden, .hidden])
          Rotate("attention.self.key.{leaf}", "self_attn.proj_k_dense_layer.{leaf}", pairs, [.hidden, .hidden])
        }
      }
      BERT.layerNorm("encoder.emb_layer_norm_after", "transformer_encoder.norm")
      Only(.hf, "encoder.layer.{layer}.attention.self.rotary_embeddings.inv_freq", "it follows from the config")
      Only(.hf, "contact_head.regression.{leaf}", "the Model Zoo's ESM-2 does not predict contacts")
    }
    Scope("lm_head", "bert_mlm_head") {
      BERT.maskedLanguageHead(dense: "dense", norm: "layer_norm", biases: ["bias"])
    }
    BERT.ties(hf: "esm", decoder: "lm_head")
  }

  private static let isRotary = RuleCondition.equals(.cs, "position_embedding_type", "rotary")
  private static let pairs = RotaryPairs(heads: .heads, rotary: .cs("rotary_dim"))

  // MARK: Config

  @Sendable @ConfigRulesBuilder static func config(_ release: Release) -> [ConfigRule] {
    BERT.encoderConfig(release)
    positionConfig
    Key(flag: "emb_layer_norm_before", "embedding_layer_norm")
    Key(
      "token_dropout", "token_dropout", .flag, forward: tokenDropout, backward: tokenDropout)
    Key(integer: "mask_token_id")
    Key(integer: "pad_token_id")
    // Layers and head of the HF model are gelu, whatever the config says.
    Key(
      "hidden_act", "encoder_nonlinearity",
      forward: { (_, _) throws(ConfigFailure) in "gelu" },
      backward: { (value, _) throws(ConfigFailure) in
        guard value == "gelu" else { throw .unsupported("encoder_nonlinearity", value, supported: ["gelu"]) }
        return nil
      })
    Require(.cs, "mlm_nonlinearity", "gelu", .null)
    Ignore(.cs, "pooler_nonlinearity")
    RefuseKey(.cs, "num_segments", unless: 0, .null, reason: "the HF model has no segments")
    RefuseKey(.hf, "is_folding_model", unless: false, .null, reason: "the target does not fold proteins")
    RefuseKey(.hf, "esmfold_config", unless: .null, reason: "the target does not fold proteins")
    DescribesNothing(.hf, ["vocab_list"])
    // What each side is told explicitly
    Implied(.cs, "use_final_layer_norm", true)
    Implied(.cs, "disable_nsp", true)
    Fill(.cs, "freeze_ffn_bias_in_glu", false)
    Fill(.hf, "is_folding_model", false)
    Fill(.hf, "esmfold_config", .null)
    // What a left-out key means
    Assume(.hf, "vocab_size", 30522)
    Assume(.hf, "hidden_act", "gelu")
    Assume(.hf, "mask_token_id", .null)
    Assume(.hf, "pad_token_id", .null)
    Assume(.hf, "token_dropout", false)
    Assume(.hf, "emb_layer_norm_before", false)
    Assume(.cs, "use_final_layer_norm", false)
    Assume(.cs, "disable_nsp", false)
    Assume(.cs, "token_dropout", false)
    Assume(.cs, "embedding_layer_norm", true)
    Assume(.cs, "pad_token_id", 0)
  }

  /// Rotary embeddings over whole heads, or learned positions, which are counted as RoBERTa's.
  @ConfigRulesBuilder private static var positionConfig: [ConfigRule] {
    Key(
      "position_embedding_type", "position_embedding_type",
      values: ["rotary": "rotary", "absolute": "learned"])
    Key(
      "max_position_embeddings", "max_position_embeddings", .dimension,
      forward: { (value, config) throws(ConfigFailure) in
        config["position_embedding_type"] == "absolute" ? try RoBERTa.positions(value, config, sign: -1) : value
      },
      backward: { (value, config) throws(ConfigFailure) in
        config["position_embedding_type"] == "learned" ? try RoBERTa.positions(value, config, sign: 1) : value
      })
    Fill(.cs, "mask_padding_in_positional_embed") { (config) throws(ConfigFailure) in
      config["position_embedding_type"] == "learned" ? true : nil
    }
    Fill(.cs, "rotary_dim") { (config) throws(ConfigFailure) in
      guard config["position_embedding_type"] == "rotary" else { return nil }
      return .int(try headSize(config, "hidden_size"))
    }
    Ignore(.cs, "rotary_dim", "mask_padding_in_positional_embed")
    Check(.cs) { (config) throws(ConfigFailure) in
      switch config["position_embedding_type"] {
      case "rotary":
        // The class takes a quarter of a head where nothing is said.
        let size = try headSize(config, "rotary_dim")
        let rotary = config["rotary_dim"] ?? .null
        guard rotary.isEqualInPython(.int(size)) else {
          throw .unsupported("rotary_dim", rotary, supported: [.int(size)])
        }
      case "learned", nil:
        let masked = config["mask_padding_in_positional_embed"] ?? false
        guard masked.isEqualInPython(true) else {
          throw .unsupported("mask_padding_in_positional_embed", masked, supported: [true])
        }
      default: break
      }
    }
    RefuseKey(.cs, "rope_theta", unless: 10000, .null, reason: "the HF model has the base 10000")
    RefuseKey(.cs, "pos_scaling_factor", unless: 1, .null, reason: "the HF model does not scale positions")
    Ignore(.cs, "pos_scaling_type", "pos_scaling_extra_args")
    Assume(.hf, "position_embedding_type", "absolute")
    Assume(.hf, "max_position_embeddings", 1026)
    Assume(.cs, "position_embedding_type", "learned")
  }

  private static func headSize(_ config: ConfigObject, _ key: String) throws(ConfigFailure) -> Int {
    let (width, heads) = (try config.requiredInt("hidden_size"), try config.requiredInt("num_heads"))
    guard heads > 0, width >= heads else {
      throw ConfigFailure(key, "A width of \(width) cannot be divided among \(heads) heads.")
    }
    return width / heads
  }

  /// Dropping masked tokens needs the token that masks.
  private static let tokenDropout: ConfigRule.Mapping = { (value, config) throws(ConfigFailure) in
    if value.isTruthyInPython, config["mask_token_id"] ?? .null == .null {
      throw ConfigFailure("mask_token_id", "'mask_token_id' must be set where token_dropout is true.")
    }
    return value
  }
}
