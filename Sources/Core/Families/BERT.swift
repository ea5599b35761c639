import OrderedCollections

/// BERT, pretraining and fine-tuning. Hugging Face on the left, Model Zoo on the right.
///
/// Release 1.6 of the Model Zoo kept its checkpoints under the names of Hugging Face; 1.7 renamed every key. So the bridge
/// and revision 1.7 share their tensor rules, but for ties and for the name of one head.
///
/// Facts: Model Zoo Release 1.8.0 (`bert.py` and `bert_finetune.py` of its checkpoint converters, `bert_model.py`) and
/// transformers' `modeling_bert.py`.
extension Family {
  static let bert = Family(
    "bert",
    [
      BERT.model(
        "bert", csClass: "BertPretrainModel", hfClass: "BertForPreTraining", tensors: BERT.pretraining + BERT.ties,
        oldTensors: BERT.pretraining),
      BERT.model(
        "bert-sequence-classifier", csClass: "BertForSequenceClassification", hfClass: "BertForSequenceClassification",
        tensors: BERT.fineTuning(head: "classifier"), config: BERT.sequenceClassifierConfig),
      BERT.model(
        "bert-token-classifier", csClass: "BertForTokenClassification", hfClass: "BertForTokenClassification",
        tensors: BERT.fineTuning(head: "classifier"), config: BERT.tokenClassifierConfig),
      Model(
        "bert-summarization", zooName: "bert/extractive_summarization", csClass: "BertForSummarization",
        ladder: BERT.ladder(BERT.fineTuning(head: "classifier")), offered: BERT.offered, bridges: []),
      BERT.model(
        "bert-q&a", aliases: ["bert-qa"], csClass: "BertForQuestionAnswering", hfClass: "BertForQuestionAnswering",
        tensors: BERT.fineTuning(head: "qa_outputs"), config: BERT.questionAnsweringConfig),
    ])
}

enum BERT {
  /// A model with a side at Hugging Face. `oldTensors` are the rules between 1.6 and 1.7.
  static func model(
    _ name: String, aliases: [Model.Alias] = [], csClass: String, hfClass: String, tensors: [Rule],
    oldTensors: [Rule] = fineTuning(head: "classifier"), config head: [ConfigRule] = []
  ) -> Model {
    // A config of 1.7 cannot name the activations of pooler and masked-language head, so 1.8 needs a bridge of its own.
    let bridge = Bridge(
      covers: Release(1, 7)...Release(1, 8), hfClass: hfClass, modelTypes: ["bert"], folds: [.anySparsity],
      tensors: { _ in tensors }, config: { config(for: $0) + head })
    return Model(
      name, aliases: aliases, csClass: csClass, ladder: ladder(oldTensors), offered: offered, bridges: [bridge])
  }

  /// The pairs of releases that the vendor's tools offer.
  static let offered = OfferedUpgrades.steps(from: Release(1, 6), every: Release(1, 6)...Release(2, 0))

  // MARK: Tensors

  /// Embeddings, layers and pooler: what all models share.
  @RulesBuilder static var encoder: [Rule] {
    Rename("embeddings.word_embeddings.weight", "embedding_layer.word_embeddings.weight")
    Rename("embeddings.position_embeddings.weight", "embedding_layer.position_embeddings.weight")
    Rename("embeddings.token_type_embeddings.weight", "embedding_layer.segment_embeddings.weight")
    // transformers dropped this buffer in 4.31; older versions expect it.
    Generated(.left, "embeddings.position_ids", beside: "embeddings.position_embeddings.weight") {
      (context) throws(RuleFailure) in .positions(count: try context.length(.config(.right, "max_position_embeddings")))
    }
    layerNorm("embeddings.LayerNorm", "embed_ln_f")
    Scope("encoder.layer.{layer}", "transformer_encoder.layers.{layer}") {
      Rename("attention.self.query.{leaf}", "self_attn.proj_q_dense_layer.{leaf}")
      Rename("attention.self.key.{leaf}", "self_attn.proj_k_dense_layer.{leaf}")
      Rename("attention.self.value.{leaf}", "self_attn.proj_v_dense_layer.{leaf}")
      Rename("attention.output.dense.{leaf}", "self_attn.proj_output_dense_layer.{leaf}")
      layerNorm("attention.output.LayerNorm", "norm1")
      Rename("intermediate.dense.{leaf}", "ffn.ffn.0.linear_layer.{leaf}")
      Rename("output.dense.{leaf}", "ffn.ffn.1.linear_layer.{leaf}")
      layerNorm("output.LayerNorm", "norm2")
    }
    Rename("pooler.dense.{leaf}", "pooler.pooler.ffn.0.linear_layer.{leaf}")
  }

  /// The encoder with masked-language and next-sentence heads.
  @RulesBuilder static var pretraining: [Rule] {
    Scope("bert", "bert_encoder") { encoder }
    Scope("cls.predictions", "bert_mlm_head") {
      Rename("transform.dense.{leaf}", "mlm_transform.ffn.ffn.0.linear_layer.{leaf}")
      layerNorm("transform.LayerNorm", "mlm_transform.ln")
      Rename("decoder.weight", "classifier.ffn.0.linear_layer.weight")
      // One parameter under two names; old checkpoints hold the second only.
      Rename(mirrored: ["decoder.bias", "bias"], "classifier.ffn.0.linear_layer.bias")
    }
    Rename("cls.seq_relationship.{leaf}", "bert_cls_head.classifier.ffn.0.linear_layer.{leaf}")
  }

  /// The embedding and the masked-language head share one matrix, and a file may hold it once.
  @RulesBuilder static var ties: [Rule] {
    Tie(
      .hf, "cls.predictions.decoder.weight", to: "bert.embeddings.word_embeddings.weight",
      when: RuleCondition.flag(.hf, "tie_word_embeddings"))
    Tie(
      .cs, "bert_encoder.embedding_layer.word_embeddings.weight",
      to: "bert_mlm_head.classifier.ffn.0.linear_layer.weight", when: RuleCondition.flag(.cs, "share_embedding_weights")
    )
  }

  /// The encoder with one linear layer on top, which the Model Zoo always calls `classifier`.
  @RulesBuilder static func fineTuning(head: String) -> [Rule] {
    Scope("bert", "bert") { encoder }
    Rename("\(head).{leaf}", "classifier.{leaf}")
  }

  /// A layer norm. Checkpoints that began in TensorFlow call weight and bias gamma and beta.
  @RulesBuilder static func layerNorm(_ left: KeyPattern, _ right: KeyPattern) -> [Rule] {
    Scope(left, right) {
      Rename("{leaf}", "{leaf}")
      Alias(.left, "gamma", for: "weight")
      Alias(.left, "beta", for: "bias")
    }
  }

  // MARK: Config

  /// What all models share, between Hugging Face and a release.
  @Sendable @ConfigRulesBuilder static func config(for release: Release) -> [ConfigRule] {
    // Embedding
    Key(dimension: "vocab_size")
    Key("position_embedding_type", "position_embedding_type", values: ["absolute": "learned"])
    Key(dimension: "max_position_embeddings")
    Key("tie_word_embeddings", "share_embedding_weights")
    Require(.hf, "type_vocab_size", 2)
    // Encoder
    Key(dimension: "hidden_size")
    Key(dimension: "num_attention_heads", "num_heads")
    Key(dimension: "num_hidden_layers")
    Key(dimension: "intermediate_size", "filter_size")
    Key("hidden_act", "encoder_nonlinearity")
    Key("hidden_dropout_prob", "dropout_rate")
    Key("attention_probs_dropout_prob", "attention_dropout_rate")
    Key("layer_norm_eps", "layer_norm_epsilon")
    Key("initializer_range")
    Require(.hf, "is_decoder", false)
    Require(.hf, "add_cross_attention", false)
    Require(.cs, "attention_type", "scaled_dot_product")
    Require(.cs, "use_projection_bias_in_attention", true)
    Require(.cs, "use_ffn_bias_in_attention", true)
    Require(.cs, "use_ffn_bias", true)
    // Heads
    Require(.cs, "disable_nsp", false)
    Require(.cs, "use_ffn_bias_in_mlm", true)
    Require(.cs, "use_output_bias_in_mlm", true)
    // What a left-out key means
    Assume(.hf, "vocab_size", 30522)
    Assume(.hf, "hidden_size", 768)
    Assume(.hf, "num_hidden_layers", 12)
    Assume(.hf, "num_attention_heads", 12)
    Assume(.hf, "intermediate_size", 3072)
    Assume(.hf, "hidden_act", "gelu")
    Assume(.hf, "hidden_dropout_prob", 0.1)
    Assume(.hf, "attention_probs_dropout_prob", 0.1)
    Assume(.hf, "max_position_embeddings", 512)
    Assume(.hf, "layer_norm_eps", 1e-12)
    Assume(.hf, "tie_word_embeddings", true)
    Assume(.cs, "share_embedding_weights", true)
    Assume(.cs, "encoder_nonlinearity", "gelu")
    Fill(.cs, "enable_vts", false)
    activations(for: release)
    Ignore(.cs, "mixed_precision", "enable_vts")
    ConfigRule.huggingFaceBookkeeping
  }

  /// Hugging Face's pooler is tanh and its masked-language head follows the encoder. Release 1.8 can say so; before, the
  /// pooler followed the encoder and the head was gelu, whatever the config said.
  @ConfigRulesBuilder static func activations(for release: Release) -> [ConfigRule] {
    Require(.cs, "pooler_nonlinearity", "tanh")
    Check(.cs) { (config) throws(ConfigFailure) in
      if let head = config["mlm_nonlinearity"], head != config["encoder_nonlinearity"] {
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
      Check(.cs) { (config) throws(ConfigFailure) in
        let encoder = encoderNonlinearity(config)
        if config["pooler_nonlinearity"] == nil, encoder != "tanh" {
          throw ConfigFailure(
            "pooler_nonlinearity",
            "Can't convert config without pooler_nonlinearity: the pooler then follows encoder_nonlinearity="
              + "\(encoder.pythonDescription), and the pooler of a HF model is always tanh.")
        }
      }
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

  static func encoderNonlinearity(_ config: ConfigObject, key: String = "encoder_nonlinearity") -> ConfigValue {
    config[key] ?? "gelu"
  }

  @ConfigRulesBuilder static var sequenceClassifierConfig: [ConfigRule] {
    Key("classifier_dropout", "task_dropout")
    Key("num_labels")
    Key("problem_type")
    labelCount
    classifierDropout
    Assume(.hf, "problem_type", orNull: true) { (config) throws(ConfigFailure) in
      if let count = config["num_labels"], count.isEqualInPython(1) { return "regression" }
      throw ConfigFailure(
        "problem_type",
        "Cannot infer problem_type. Set it in the config, to single_label_classification or multi_label_classification."
      )
    }
  }

  @ConfigRulesBuilder static var tokenClassifierConfig: [ConfigRule] {
    Key("classifier_dropout", "encoder_output_dropout_rate")
    Key("num_labels", "num_classes")
    labelCount
    classifierDropout
    Fill(.cs, "loss_weight", 1.0)
    Fill(.cs, "include_padding_in_loss", false)
    Ignore(.cs, "loss_weight", "include_padding_in_loss")
  }

  @ConfigRulesBuilder static var questionAnsweringConfig: [ConfigRule] {
    // Start and end of the answer.
    Require(.hf, "num_labels", 2)
    Fill(.hf, "num_labels", 2)
    labelCount
  }

  /// transformers derives the number of labels from their names, and names two if there are none.
  @ConfigRulesBuilder static var labelCount: [ConfigRule] {
    Assume(.hf, "num_labels") { (config) throws(ConfigFailure) in
      switch config["id2label"] {
      case .object(let names): .int(names.count)
      case .array(let names): .int(names.count)
      default: 2
      }
    }
    Ignore(.hf, "id2label", "label2id")
  }

  @ConfigRulesBuilder static var classifierDropout: [ConfigRule] {
    Assume(.hf, "classifier_dropout", orNull: true) { (config) throws(ConfigFailure) in
      try config.required("hidden_dropout_prob")
    }
  }

  // MARK: Releases

  static func ladder(_ renamed: [Rule]) -> Ladder {
    Ladder(
      from: Release(1, 6),
      [
        Revision(
          Release(1, 7), coversAllKeys: true,
          entries: .drop(
            reason:
              "The BERT model changed significantly between cs-1.6 and cs-1.7, so the optimizer state and the other "
              + "entries beside the model are left out."),
          tensors: renamed),
        Revision(Release(1, 8), config: namedActivations),
      ])
  }

  /// Release 1.8 made the activations of pooler and masked-language head keys of the config.
  @ConfigRulesBuilder static var namedActivations: [ConfigRule] {
    Key(
      "pooler_nonlinearity", "pooler_nonlinearity",
      forward: { (_, config) throws(ConfigFailure) in encoderNonlinearity(config) })
    Key("mlm_nonlinearity", "mlm_nonlinearity", forward: { (_, _) throws(ConfigFailure) in "gelu" })
    Fill(.newer, "pooler_nonlinearity") { (config) throws(ConfigFailure) in encoderNonlinearity(config) }
    Fill(.newer, "mlm_nonlinearity", "gelu")
    Check(.newer) { (config) throws(ConfigFailure) in
      let encoder = encoderNonlinearity(config)
      if let pooler = config["pooler_nonlinearity"], pooler != encoder {
        throw ConfigFailure(
          "pooler_nonlinearity",
          "Can't convert config with pooler_nonlinearity=\(pooler.pythonDescription): before cs-1.8 the pooler follows "
            + "encoder_nonlinearity=\(encoder.pythonDescription).")
      }
      if let head = config["mlm_nonlinearity"] {
        if head != "gelu" {
          throw ConfigFailure(
            "mlm_nonlinearity",
            "Can't convert config with mlm_nonlinearity=\(head.pythonDescription): before cs-1.8 only gelu is supported."
          )
        }
      } else if encoder != "gelu" {
        throw ConfigFailure(
          "mlm_nonlinearity",
          "Can't convert config without mlm_nonlinearity: it then follows encoder_nonlinearity="
            + "\(encoder.pythonDescription), and before cs-1.8 only gelu is supported.")
      }
    }
  }
}
