/// What the releases of the Model Zoo changed in T5 and the Transformer.
extension T5 {
  static let ladder = Ladder(
    from: Release(1, 6),
    [
      Revision(
        Release(1, 7), coversAllKeys: true,
        entries: .drop(
          reason: "The T5 model changed significantly between cs-1.6 and cs-1.7, so the optimizer state and the other "
            + "entries beside the model are left out."),
        tensors: renamed),
      Revision(Release(1, 8), bareSide: .older, config: turnedFlag),
      Revision(
        Release(2, 0), tensors: sharedMatrix(.older) + sharedMatrix(.newer),
        config: Ladder.namedNorm("use_t5_layer_norm", "rmsnorm")),
      Revision(Release(2, 1), tensors: embeddedPositions),
    ])

  /// Between release 1.6 and 1.7.
  @RulesBuilder private static var renamed: [Rule] {
    layers
    words("lm_head.{leaf}", "lm_head.{leaf}", of: "decoder", presence: .optional)
    for stack in stacks {
      let length = Dimension.cs("\(stack == "encoder" ? "src" : "tgt")_max_position_embeddings")
      words(
        KeyPattern("\(stack)_token_embedding.weight"), KeyPattern("\(stack)_embeddings.word_embeddings.weight"),
        of: stack, presence: .optional)
      Only(.older, KeyPattern("\(stack).embed_tokens.weight"), "a second name of the token embedding")
      Rename(
        KeyPattern("\(stack).absolute_position_embedding.weight"),
        KeyPattern("\(stack)_embeddings.position_embeddings.weight"), [length, .cs("d_model")],
        presence: .when(.equals(.newer, "position_embedding_type", "learned_absolute")))
      // Fixed positions are a buffer and not a module.
      Rename(
        KeyPattern("\(stack).absolute_position_embedding"), KeyPattern("\(stack)_embeddings.position_embeddings"),
        [length, .cs("d_model")], presence: .optional)
      // Release 1.6 kept the relative bias in every layer and used the first.
      let attention = "\(stack).block.{layer}.layer.0.SelfAttention"
      Repeated(
        KeyPattern("\(attention).relative_attention_bias.weight"),
        KeyPattern("\(relativeBiasModule(stack, Release(1, 7))).relative_attention_bias.weight"), over: "layer",
        beside: KeyPattern("\(attention).q.weight"),
        [.cs("relative_attention_num_buckets", or: 32), .cs("num_heads")], presence: .optional)
    }
  }

  /// Release 1.8 turned the meaning of one key round.
  @ConfigRulesBuilder private static var turnedFlag: [ConfigRule] {
    Key(
      "use_pre_encoder_decoder_layer_norm", "use_pre_encoder_decoder_layer_norm",
      forward: { (value, _) throws(ConfigFailure) in .bool(!value.isTruthyInPython) },
      backward: { (value, _) throws(ConfigFailure) in .bool(!value.isTruthyInPython) })
  }

  /// Release 2.1 moved all that has to do with positions into the embedding layers.
  @RulesBuilder private static var embeddedPositions: [Rule] {
    for stack in stacks {
      Scope(KeyPattern("\(stack)_embeddings"), KeyPattern("\(stack)_embeddings")) { Ladder.positionModule }
      Scope(
        KeyPattern(relativeBiasModule(stack, Release(2, 0))), KeyPattern(relativeBiasModule(stack, Release(2, 1)))
      ) { Rename("relative_attention_bias.{leaf}", "relative_attention_bias.{leaf}") }
    }
  }
}
