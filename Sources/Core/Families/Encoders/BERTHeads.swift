import OrderedCollections

/// What stands on top of BERT's encoder: the heads of pretraining and of fine-tuning.
extension BERT {
  /// A model with one linear layer on top, which the Model Zoo and its release 1.6 always call `classifier`.
  static func fineTuned(
    _ name: String, zooName: String? = nil, aliases: [Model.Alias] = [], class: String, hfHead: String = "classifier",
    labels: Dimension, config: [ConfigRule]
  ) -> Model {
    Model(
      name, zooName: zooName, aliases: aliases, csClass: `class`,
      ladder: ladder { fineTuning($0, head: "classifier", labels: labels) },
      offered: offeredFineTuned,
      bridges: bridges(hfClass: `class`, config: { BERT.config(for: $0) + config }) { release in
        fineTuning(release, head: hfHead, labels: labels)
      })
  }

  /// The vendor's tools go from 1.6 and 1.7 straight to every release up to 2.0, and else by single steps.
  static let offeredFineTuned = OfferedUpgrades.steps(
    from: Release(1, 6), every: Release(1, 6)...Release(1, 8),
    hub: (Release(1, 6), Release(1, 7)...Release(2, 0)), (Release(1, 7), Release(1, 8)...Release(2, 0)))

  // MARK: Tensors

  /// The encoder with masked-language and next-sentence heads. A model that was trained without next sentences has
  /// neither the second head nor a pooler. `shared` says whether the two matrices have to be there that may be one.
  @RulesBuilder static func pretraining(
    _ release: Release, shared: DeclaredShape.Presence = .always, @RulesBuilder pooler: () -> [Rule]
  ) -> [Rule] {
    Scope("bert", "bert_encoder") {
      encoder(release, shared: shared)
      pooler()
    }
    Scope("cls.predictions", "bert_mlm_head") {
      // One bias under two names; old checkpoints hold the second only.
      maskedLanguageHead(
        dense: "transform.dense", norm: "transform.LayerNorm", biases: ["decoder.bias", "bias"], shared: shared)
    }
    Rename(
      "cls.seq_relationship.{leaf}", "bert_cls_head.classifier.ffn.0.linear_layer.{leaf}", [2, .hidden],
      presence: .optional)
  }

  /// A transform and a decoder, with Hugging Face's names for the parts.
  @RulesBuilder static func maskedLanguageHead(
    dense: String, norm: KeyPattern, biases: [KeyPattern], shared: DeclaredShape.Presence = .always,
    bias: DeclaredShape.Presence = .always
  ) -> [Rule] {
    Rename(KeyPattern("\(dense).{leaf}"), "mlm_transform.ffn.ffn.0.linear_layer.{leaf}", [.hidden, .hidden])
    layerNorm(norm, "mlm_transform.ln")
    Rename("decoder.weight", "classifier.ffn.0.linear_layer.weight", [.vocabulary, .hidden], presence: shared)
    Rename(mirrored: biases, "classifier.ffn.0.linear_layer.bias", [.vocabulary], presence: bias)
  }

  /// The embedding and the masked-language head share one matrix, and a file may hold it once.
  @RulesBuilder static var ties: [Rule] { ties(hf: "bert", decoder: "cls.predictions") }

  /// The same for a model whose encoder and head have other names in Hugging Face.
  @RulesBuilder static func ties(hf encoder: String, decoder: String) -> [Rule] {
    let (words, head) = ("\(encoder).embeddings.word_embeddings.weight", "\(decoder).decoder.weight")
    Tie(.hf, head, to: words, when: .flag(.hf, "tie_word_embeddings"))
    Tie(.hf, words, to: head, when: .flag(.hf, "tie_word_embeddings"))
    Tie(.cs, csWords, to: csHead, when: .flag(.cs, "share_embedding_weights"))
    Tie(.cs, csHead, to: csWords, when: .flag(.cs, "share_embedding_weights"))
  }

  static let csWords = "bert_encoder.embedding_layer.word_embeddings.weight"
  static let csHead = "bert_mlm_head.classifier.ffn.0.linear_layer.weight"

  /// The encoder with one linear layer on top, which has a row for each label; nil where no config says how many.
  @RulesBuilder static func fineTuning(
    _ release: Release, head: String, labels: Dimension?,
    bias: DeclaredShape.Presence = .always
  ) -> [Rule] {
    Scope("bert", "bert") {
      encoder(release)
      pooler
    }
    Rename(KeyPattern("\(head).{leaf}"), "classifier.{leaf}", labels.map { [$0, .hidden] }, bias: bias)
  }

  // MARK: Config

  @Sendable @ConfigRulesBuilder static func pretrainingConfig(_ release: Release) -> [ConfigRule] {
    if release >= Release(2, 1) { Fill(.cs, "freeze_ffn_bias_in_glu", false) }
  }

  /// A whole pretrained model. From 2.1 on it may do without next sentences.
  @Sendable static func modelConfig(_ release: Release) -> [ConfigRule] {
    let rules = config(for: release) + pretrainingConfig(release)
    return release >= Release(2, 1) ? rules.except("disable_nsp") + maskedWordsConfig : rules
  }

  /// A model that was trained on masked words alone keeps its two segments only where the params say so.
  @ConfigRulesBuilder private static var maskedWordsConfig: [ConfigRule] {
    Ignore(.cs, "disable_nsp")
    Check(.cs) { (config) throws(ConfigFailure) in
      guard config["disable_nsp"]?.isTruthyInPython ?? false, config["num_segments"] ?? .null == .null else { return }
      throw ConfigFailure(
        "disable_nsp",
        "Can't convert config with disable_nsp=True and no num_segments: such a model has no segments, and a HF model has "
          + "two. Only num_segments=2 is supported.")
    }
    Fill(
      .hf, "architectures",
      fromBoth: { (source, _) throws(ConfigFailure) in
        source["disable_nsp"]?.isTruthyInPython ?? false ? ["BertForMaskedLM"] : nil
      })
  }

  /// A checkpoint without a next-sentence head: the class builds one unless it is told not to, and then no segments unless
  /// it is told how many.
  static let maskedWordsAlone = Measurement(.hf) { _, tensors in
    let (masked, next) = ("cls.predictions.transform.dense.weight", "cls.seq_relationship.weight")
    return tensors.shape(masked) != nil && tensors.shape(next) == nil ? ["disable_nsp": true, "num_segments": 2] : [:]
  }

  @ConfigRulesBuilder static var sequenceClassifierConfig: [ConfigRule] {
    Key(number: "classifier_dropout", "task_dropout")
    Key(dimension: "num_labels")
    Key(text: "problem_type")
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
    Key(number: "classifier_dropout", "encoder_output_dropout_rate")
    Key(dimension: "num_labels", "num_classes")
    labelCount
    classifierDropout
    Fill(.cs, "loss_weight", 1.0)
    Fill(.cs, "include_padding_in_loss", false)
    Ignore(.cs, "loss_weight", "include_padding_in_loss")
  }

  @ConfigRulesBuilder static var questionAnsweringConfig: [ConfigRule] {
    // Start and end of the answer.
    Implied(.hf, "num_labels", 2)
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
}
