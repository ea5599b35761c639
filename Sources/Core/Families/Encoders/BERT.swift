/// BERT, pretraining and fine-tuning. Hugging Face on the left, Model Zoo on the right.
///
/// Release 1.6 of the Model Zoo kept its checkpoints under the names of Hugging Face; 1.7 renamed every key. So the bridge
/// and revision 1.7 share their tensor rules, but for ties and for the name of one head.
///
/// Facts: Model Zoo Release 1.8.0 and 2.10.0 (`bert.py` and `bert_finetune.py` of the checkpoint converters,
/// `bert_model.py`, `bert_pretrain_models.py`) and transformers' `modeling_bert.py`.
extension Family {
  static let bert = Family(
    "bert",
    [
      Model(
        "bert", csClass: "BertPretrainModel",
        ladder: BERT.ladder { BERT.pretraining($0, shared: .optional) { BERT.pooler } },
        offered: .steps(from: Release(1, 6), every: Release(1, 6)...Release(2, 0)),
        bridges: BERT.bridges(
          hfClass: "BertForPreTraining", muP: { $0 >= Release(2, 3) ? .folded(.bertMuP) : .refused },
          measurements: { $0 >= Release(2, 1) ? [BERT.maskedWordsAlone] : [] }, config: BERT.modelConfig
        ) { release in
          BERT.pretraining(release) { BERT.readPooler }
          BERT.ties
        }),
      BERT.fineTuned(
        "bert-sequence-classifier", zooName: "bert/classifier", class: "BertForSequenceClassification",
        labels: .cs("num_labels", or: 2), config: BERT.sequenceClassifierConfig),
      BERT.fineTuned(
        "bert-token-classifier", zooName: "bert/token_classifier", class: "BertForTokenClassification",
        labels: .cs("num_classes", or: 2), config: BERT.tokenClassifierConfig),
      Model(
        "bert-summarization", zooName: "bert/extractive_summarization", csClass: "BertForSummarization",
        ladder: BERT.ladder { BERT.fineTuning($0, head: "classifier", labels: nil, bias: .optional) },
        offered: BERT.offeredFineTuned, bridges: []),
      BERT.fineTuned(
        "bert-qa", aliases: ["bert-q&a"], class: "BertForQuestionAnswering", hfHead: "qa_outputs", labels: 2,
        config: BERT.questionAnsweringConfig),
    ])
}

enum BERT {
  /// The bridges of a model. A config of 1.7 cannot name the activations of pooler and masked-language head, so its rules
  /// differ from those of 1.8; 2.1 moved the positions.
  static func bridges(
    hfClass: String, muP: @escaping @Sendable (Release) -> MuPSupport = { _ in .refused },
    measurements: (Release) -> [Measurement] = { _ in [] },
    config: @escaping @Sendable (Release) -> [ConfigRule],
    @RulesBuilder tensors: @escaping @Sendable (Release) -> [Rule]
  ) -> [Bridge] {
    [Release(1, 7)...Release(1, 8), Release(2, 1)...Release.current].map { releases in
      Bridge(
        covers: releases, hfClass: hfClass, modelTypes: ["bert"],
        folds: [releases.lowerBound < Release(2, 0) ? .anySparsity : .sidebandSparsity], muP: muP,
        measurements: measurements(releases.lowerBound), tensors: tensors, config: config)
    }
  }

  // MARK: Tensors

  /// Embeddings and layers.
  @RulesBuilder static func encoder(
    _ release: Release, shared: DeclaredShape.Presence = .always
  ) -> [Rule] {
    words(shared)
    positions(release)
    segments(2)
    layerNorm("embeddings.LayerNorm", "embed_ln_f")
    layers(norms: "attention.output.LayerNorm", "output.LayerNorm") { queriesAndKeys }
  }

  /// `presence` says whether a matrix has to be there that the output may share.
  @RulesBuilder static func words(_ presence: DeclaredShape.Presence = .always) -> [Rule] {
    Rename(
      "embeddings.word_embeddings.weight", "embedding_layer.word_embeddings.weight", [.vocabulary, .hidden],
      presence: presence)
  }

  /// Learned positions, of which Hugging Face counts the rows.
  @RulesBuilder static func positions(_ release: Release) -> [Rule] {
    Rename(
      "embeddings.position_embeddings.weight", GPT2.positions(at: release),
      [.hf("max_position_embeddings"), .hidden])
    // transformers dropped this buffer in 4.31; older versions expect it.
    Generated(.left, "embeddings.position_ids", beside: "embeddings.position_embeddings.weight") {
      (context) throws(RuleFailure) in
      .positions(count: try context.length(.hf("max_position_embeddings")))
    }
  }

  @RulesBuilder static func segments(_ count: Dimension) -> [Rule] {
    Rename(
      "embeddings.token_type_embeddings.weight", "embedding_layer.segment_embeddings.weight", [count, .hidden])
  }

  /// The layers, with the names that Hugging Face has for their two norms.
  @RulesBuilder static func layers(
    norms first: KeyPattern, _ second: KeyPattern, @RulesBuilder queriesAndKeys: () -> [Rule]
  ) -> [Rule] {
    Scope("encoder.layer.{layer}", "transformer_encoder.layers.{layer}", count: .layers) {
      queriesAndKeys()
      Rename("attention.self.value.{leaf}", "self_attn.proj_v_dense_layer.{leaf}", [.hidden, .hidden])
      Rename("attention.output.dense.{leaf}", "self_attn.proj_output_dense_layer.{leaf}", [.hidden, .hidden])
      layerNorm(first, "norm1")
      Rename("intermediate.dense.{leaf}", "ffn.ffn.0.linear_layer.{leaf}", [.inner, .hidden])
      Rename("output.dense.{leaf}", "ffn.ffn.1.linear_layer.{leaf}", [.hidden, .inner])
      layerNorm(second, "norm2")
    }
  }

  @RulesBuilder static var queriesAndKeys: [Rule] {
    Rename("attention.self.query.{leaf}", "self_attn.proj_q_dense_layer.{leaf}", [.hidden, .hidden])
    Rename("attention.self.key.{leaf}", "self_attn.proj_k_dense_layer.{leaf}", [.hidden, .hidden])
  }

  /// The pooler, which checkpoints of models that do not use it may hold or not.
  @RulesBuilder static var pooler: [Rule] {
    Rename("pooler.dense.{leaf}", "pooler.pooler.ffn.0.linear_layer.{leaf}", [.hidden, .hidden], presence: .optional)
  }

  /// The pooler between Hugging Face and a release: without next sentences nothing reads it.
  @RulesBuilder static var readPooler: [Rule] {
    When(!masksWordsAlone) { pooler }
    When(masksWordsAlone) { Only(.hf, "pooler.dense.{leaf}", "only the next-sentence head reads the pooler") }
  }

  private static let masksWordsAlone = RuleCondition.flag(.cs, "disable_nsp")

  /// A layer norm. Checkpoints that began in TensorFlow call weight and bias gamma and beta.
  @RulesBuilder static func layerNorm(
    _ left: KeyPattern, _ right: KeyPattern, presence: DeclaredShape.Presence = .always
  ) -> [Rule] {
    Scope(left, right) {
      Rename("{leaf}", "{leaf}", [.hidden], presence: presence)
      Alias(.left, "gamma", for: "weight")
      Alias(.left, "beta", for: "bias")
    }
  }
}
