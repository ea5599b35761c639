import OrderedCollections

/// RoBERTa: BERT without next sentences, whose positions begin behind that of the padding. Hugging Face on the left, Model
/// Zoo on the right.
///
/// Facts: Model Zoo Release 2.10.0 (`roberta.py` of the checkpoint converters, `bert_pretrain_models.py`) and
/// transformers' `modeling_roberta.py`.
extension Family {
  static let roberta = Family(
    "roberta",
    [
      Model(
        "roberta", zooName: "bert", csClass: "BertPretrainModel", ladder: BERT.recentLadder,
        offered: .steps(from: Release(2, 0)),
        bridges: [
          Bridge(
            covers: Release(2, 1)...Release.current, hfClass: "RobertaForMaskedLM", modelTypes: ["roberta"],
            folds: [.sidebandSparsity], tensors: RoBERTa.tensors, config: RoBERTa.config)
        ])
    ])
}

enum RoBERTa {
  // MARK: Tensors

  @Sendable @RulesBuilder static func tensors(_ release: Release) -> [Rule] {
    Scope("roberta", "bert_encoder") {
      BERT.words()
      BERT.positions(release)
      BERT.layerNorm("embeddings.LayerNorm", "embed_ln_f")
      BERT.layers(norms: "attention.output.LayerNorm", "output.LayerNorm") { BERT.queriesAndKeys }
      // The Model Zoo can do without segments, Hugging Face needs one; adding zeros changes nothing.
      When(hasSegments) { BERT.segments(.cs("num_segments")) }
      When(!hasSegments) {
        Drawn(
          .hf, "embeddings.token_type_embeddings.weight", shape: [.hf("type_vocab_size"), .hidden], .zeros)
      }
      Only(.hf, "pooler.dense.{leaf}", "the model has no pooler, although old checkpoints hold one")
    }
    Scope("lm_head", "bert_mlm_head") {
      BERT.maskedLanguageHead(
        dense: "dense", norm: "layer_norm", biases: ["decoder.bias", "bias"], bias: .optional)
      // Some old checkpoints hold neither name of the bias.
      Drawn(.cs, "classifier.ffn.0.linear_layer.bias", shape: [.vocabulary], .zeros, isFallback: true)
    }
    BERT.ties(hf: "roberta", decoder: "lm_head")
  }

  private static let hasSegments = RuleCondition.flag(.cs, "num_segments")

  // MARK: Config

  @Sendable @ConfigRulesBuilder static func config(_ release: Release) -> [ConfigRule] {
    BERT.encoderConfig(release)
    BERT.normsBehindLayers
    Key("position_embedding_type", "position_embedding_type", values: ["absolute": "learned"])
    // Hugging Face counts rows: one for each position, and those up to the padding's. The Model Zoo counts positions.
    Key(
      "max_position_embeddings", "max_position_embeddings", .dimension,
      forward: { (value, config) throws(ConfigFailure) in try positions(value, config, sign: -1) },
      backward: { (value, config) throws(ConfigFailure) in try positions(value, config, sign: 1) })
    Key(integer: "pad_token_id")
    Key(
      "type_vocab_size", "num_segments", .integer,
      backward: { (value, _) throws(ConfigFailure) in value.isTruthyInPython ? value : 1 })
    Key(activation: "hidden_act", "encoder_nonlinearity", at: release)
    // The head of the HF model has one activation, whatever the config says.
    Require(.cs, "mlm_nonlinearity", "gelu", .null)
    Check(.cs) { (config) throws(ConfigFailure) in
      let encoder = BERT.encoderNonlinearity(config)
      if config["mlm_nonlinearity"] ?? .null == .null, encoder != "gelu" {
        throw ConfigFailure(
          "mlm_nonlinearity",
          "Can't convert config without mlm_nonlinearity: it then follows encoder_nonlinearity="
            + "\(encoder.pythonDescription), and the masked-language head of a HF model is always gelu.")
      }
    }
    BERT.namedPooler
    // What each side is told explicitly
    Fill(.cs, "mlm_nonlinearity", "gelu")
    Implied(.cs, "pooler_nonlinearity", "tanh")
    Implied(.cs, "disable_nsp", true)
    Implied(.cs, "mask_padding_in_positional_embed", true)
    // What a left-out key means
    Assume(.hf, "vocab_size", 50265)
    Assume(.hf, "max_position_embeddings", 512)
    Assume(.hf, "position_embedding_type", "absolute")
    Assume(.hf, "type_vocab_size", 2)
    Assume(.hf, "pad_token_id", 1)
    Assume(.hf, "hidden_act", "gelu")
    Assume(.cs, "encoder_nonlinearity", "gelu")
    Assume(.cs, "disable_nsp", false)
    Assume(.cs, "mask_padding_in_positional_embed", false)
    Assume(.cs, "pad_token_id", 0)
    Assume(.cs, "num_segments", orNull: true) { (_) throws(ConfigFailure) in 0 }
  }

  /// Rows for positions to positions (sign -1) and back (sign 1), by the token that pads.
  static func positions(_ value: ConfigValue, _ config: ConfigObject, sign: Int) throws(ConfigFailure) -> ConfigValue {
    guard case .number(let number) = value, let count = number.int, case .number(let token)? = config["pad_token_id"],
      let pad = token.int, pad >= 0, pad < ConfigRule.largestDimension
    else {
      throw ConfigFailure(
        "pad_token_id",
        "'pad_token_id' is \((config["pad_token_id"] ?? .null).pythonDescription); positions are counted from the token "
          + "that pads, which must be a number from 0 on.")
    }
    let result = count + sign * (pad + 1)
    guard result > 0 else {
      throw ConfigFailure(
        "max_position_embeddings",
        "max_position_embeddings=\(count) leaves no position behind that of pad_token_id=\(pad).")
    }
    return .int(result)
  }
}
