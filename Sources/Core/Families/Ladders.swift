/// What the releases of the Model Zoo changed in the models' state dicts and model sections.
///
/// Facts: Model Zoo Release 1.8.0 and 2.10.0, the converters between releases in `tools/checkpoint_converters`.
extension Ladder {
  /// GPT-2 and the decoders that the Model Zoo builds from its class.
  static let gpt2 = Ladder(
    from: Release(1, 7),
    [
      Revision(Release(1, 8), bareSide: .older),
      Revision(
        Release(2, 0), tensors: tiedNorms + tiedHead, config: normType("use_rms_norm", "rmsnorm", isWritten: true)),
      Revision(Release(2, 1), tensors: embeddedPositions),
      Revision(Release(2, 3), config: forgottenKeys),
    ])

  /// GPT-J, CodeGen and GPT-NeoX.
  static let gptj = Ladder(
    from: Release(1, 7),
    [
      Revision(Release(1, 8), bareSide: .older),
      Revision(
        Release(2, 0), tensors: tiedNorms + tiedHead, config: normType("use_biasless_norm", "biasless-layernorm")),
      Revision(Release(2, 1), tensors: embeddedPositions),
    ])

  // MARK: 2.0

  /// The final norm has two names; from 2.0 on neither may be None.
  @RulesBuilder private static var tiedNorms: [Rule] {
    for side in Side.allCases {
      for leaf in ["weight", "bias"] {
        Tie(side, "transformer_decoder.norm.\(leaf)", to: "ln_f.\(leaf)")
        Tie(side, "ln_f.\(leaf)", to: "transformer_decoder.norm.\(leaf)")
      }
    }
  }

  /// Embedding and head share one matrix while the config says so; from 2.0 on neither may be None.
  @RulesBuilder private static var tiedHead: [Rule] {
    for side in Side.allCases {
      let shared = RuleCondition.flag(side, "share_embedding_weights", otherwise: true)
      Tie(side, "lm_head.weight", to: "embedding_layer.word_embeddings.weight", when: shared)
      Tie(side, "embedding_layer.word_embeddings.weight", to: "lm_head.weight", when: shared)
    }
  }

  /// A flag for one kind of norm became the name of the kind; with `isWritten`, written where the flag was left out.
  @ConfigRulesBuilder private static func normType(
    _ flag: String, _ kind: ConfigValue, isWritten: Bool = false
  ) -> [ConfigRule] {
    namedNorm(flag, kind)
    if isWritten {
      Assume(.older, flag, false)
      Assume(.newer, "norm_type", "layernorm")
    }
  }

  /// A flag for one kind of norm became the name of the kind.
  @ConfigRulesBuilder static func namedNorm(_ flag: String, _ kind: ConfigValue) -> [ConfigRule] {
    Key(
      flag, "norm_type",
      forward: { (value, _) throws(ConfigFailure) in value.isTruthyInPython ? kind : "layernorm" },
      backward: { (value, _) throws(ConfigFailure) in
        switch value {
        case kind: true
        case "layernorm": false
        default: throw .unsupported("norm_type", value, supported: [kind, "layernorm"])
        }
      })
  }

  // MARK: 2.1

  /// Learned and fixed positions, which are a buffer, moved into a module of their own inside an embedding layer.
  @RulesBuilder static var positionModule: [Rule] {
    Rename("position_embeddings.weight", "position_embeddings.embed.weight")
    Rename("position_embeddings", "position_embeddings.fpe")
  }

  /// The embedding layer took in all that has to do with positions.
  @RulesBuilder private static var embeddedPositions: [Rule] {
    Scope("embedding_layer", "embedding_layer") { positionModule }
    Scope("relative_pe_helper", "embedding_layer.position_embed_helper") {
      Rename("relative_attention_bias.{leaf}", "relative_attention_bias.{leaf}")
      Rename("slopes", "slopes")
    }
  }

  // MARK: 2.3

  /// Keys that GPT-2 no longer reads.
  @ConfigRulesBuilder private static var forgottenKeys: [ConfigRule] {
    for side in Side.allCases {
      Ignore(side, "use_position_embedding", "alibi_implementation", "weight_initialization_seed")
    }
  }
}
