import OrderedCollections

/// DRAGON: two BERT encoders, one for questions and one for the texts that answer them. Hugging Face on the left, Model Zoo
/// on the right.
///
/// Facts: Model Zoo Release 2.10.0 (`dragon_plus.py` of its checkpoint converters, `models/nlp/dpr`) and transformers'
/// `modeling_bert.py`.
extension Family {
  static let dragon = Family(
    "dragon",
    [
      Model(
        "dragon", zooName: "dpr", csClass: "DPRModel",
        caveat: "In HF the model is a folder for each of `q_encoder` and `ctx_encoder`.",
        ladder: Ladder(from: Release(2, 3), [Revision(Release(2, 4), config: Dragon.namedEncoders)]),
        offered: .steps(from: Release(2, 3)),
        bridges: [
          Bridge(
            covers: Release(2, 3)...Release.current,
            folders: Dragon.encoders.map {
              Component($0.name, section: $0.name, hfClass: "BertModel", modelTypes: ["bert"])
            },
            folds: [.sidebandSparsity], tensors: Dragon.tensors, config: Dragon.config)
        ])
    ])
}

enum Dragon {
  /// The folder and the section of each encoder, and what its keys begin with in the Model Zoo.
  static let encoders: [(name: String, keys: KeyPattern)] = [
    ("q_encoder", "question_encoder"), ("ctx_encoder", "ctx_encoder"),
  ]

  @Sendable @RulesBuilder static func tensors(_ release: Release) -> [Rule] {
    let isRead = RuleCondition.equals(.cs, "pooler_type", "ffn_pooler")
    for encoder in encoders {
      let (name, sections) = (KeyPattern(encoder.name), ConfigSections(encoder.name, encoder.name))
      Scope(name, encoder.keys, sections: sections) { BERT.encoder(release) }
      When(isRead) { Scope(name, encoder.keys, sections: sections) { BERT.pooler } }
      When(!isRead) {
        Scope(name, encoder.keys) {
          Only(.hf, "pooler.dense.{leaf}", "the vector of a text is the state of its first token")
          Only(.cs, "pooler.pooler.ffn.0.linear_layer.{leaf}", "nothing reads it")
        }
      }
    }
  }

  @Sendable @ConfigRulesBuilder static func config(_ release: Release) -> [ConfigRule] {
    for encoder in encoders {
      Section(encoder.name, encoder.name) {
        BERT.config(for: release)
        BERT.pretrainingConfig(release)
        pooler
        Ignore(.cs, "mlm_loss_weight", "pad_token_id", "embedding_pad_token_id")
        Ignore(.cs, "name")
        if release >= Release(2, 4) { Fill(.cs, "name", encoderName) }
      }
    }
    Fill(.cs, "pooler_type", "cls")
    Fill(.cs, "use_biencoder", true)
    Fill(.cs, "mutual_information", false)
    Fill(.cs, "softmax_temperature", 1)
    Fill(.cs, "compute_eval_metrics", false)
    RefuseKey(.cs, "use_biencoder", unless: true, reason: "HF has a folder for each of two encoders")
    RefuseKey(.cs, "encoder", unless: .null, reason: "HF has a folder for each of two encoders")
    Ignore(.cs, "pooler_type", "mutual_information", "softmax_temperature", "compute_eval_metrics", "selected_encoder")
    Caution(.cs, "pooler_type") { config in
      config["pooler_type"] == "mean"
        ? "pooler_type is mean: a HF encoder yields the state of each token, and their mean is the vector of the text."
        : nil
    }
  }

  /// A layer behind the first token, as wide as the encoder. Hugging Face says its width, with 0 for none.
  @ConfigRulesBuilder private static var pooler: [ConfigRule] {
    Key(
      "projection_dim", "add_pooling_layer",
      forward: { (value, config) throws(ConfigFailure) in
        guard value.isTruthyInPython else { return false }
        let width = try config.required("hidden_size")
        guard value.isEqualInPython(width) else {
          throw ConfigFailure(
            "projection_dim",
            "Can't convert config with projection_dim=\(value.pythonDescription): the Model Zoo's is as wide as the encoder, "
              + "\(width.pythonDescription), or 0 for none.")
        }
        return true
      },
      backward: { (value, config) throws(ConfigFailure) in
        value.isTruthyInPython ? try config.required("hidden_size") : 0
      })
  }

  /// From 2.4 on params are checked, and an encoder has the name of its class.
  @ConfigRulesBuilder static var namedEncoders: [ConfigRule] {
    for encoder in encoders { Fill(.newer, "\(encoder.name).name", encoderName) }
  }

  private static let encoderName: ConfigValue = "bert_model"
}
