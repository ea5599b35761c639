import OrderedCollections

/// What the releases of the Model Zoo changed in BERT.
extension BERT {
  /// The releases. `renamed` are the rules between the names of 1.6, which are those of Hugging Face, and those of 1.7.
  static func ladder(@RulesBuilder _ renamed: (Release) -> [Rule]) -> Ladder {
    Ladder(
      from: Release(1, 6),
      [
        Revision(
          Release(1, 7), coversAllKeys: true,
          entries: .drop(
            reason:
              "The BERT model changed significantly between cs-1.6 and cs-1.7, so the optimizer state and the other "
              + "entries beside the model are left out."),
          tensors: renamed(Release(1, 7)) + fixedPositions),
        Revision(Release(1, 8), config: namedActivations),
        Revision(Release(2, 0), tensors: tiedHead),
        Revision(Release(2, 1), tensors: embeddedPositions),
      ])
  }

  /// The releases of models that came with 2.0 or later.
  static let recentLadder = ladder { _ in [Rule]() }.from(Release(2, 0))

  /// Fixed positions are a buffer, which kept its name.
  @RulesBuilder private static var fixedPositions: [Rule] {
    for encoder in ["bert_encoder", "bert"] {
      let key = KeyPattern("\(encoder).embedding_layer.position_embeddings")
      Rename(key, key, [.positions, .hidden], presence: .optional)
    }
  }

  /// Embedding and masked-language head share one matrix while the config says so; from 2.0 on neither may be None.
  @RulesBuilder private static var tiedHead: [Rule] {
    for side in Side.allCases {
      let shared = RuleCondition.flag(side, "share_embedding_weights", otherwise: true)
      Tie(side, csWords, to: csHead, when: shared)
      Tie(side, csHead, to: csWords, when: shared)
    }
  }

  @RulesBuilder private static var embeddedPositions: [Rule] {
    for encoder in ["bert_encoder", "bert"] {
      let layer = KeyPattern("\(encoder).embedding_layer")
      Scope(layer, layer) { Ladder.positionModule }
    }
  }

  /// Release 1.8 made the activations of pooler and masked-language head keys of the config.
  @ConfigRulesBuilder private static var namedActivations: [ConfigRule] {
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
