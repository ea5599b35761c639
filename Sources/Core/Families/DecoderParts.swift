/// Axes of the tensors of decoders, by the names that the Model Zoo's configs give them.
extension Dimension {
  static let vocabulary = cs("vocab_size")
  static let hidden = cs("hidden_size")
  static let positions = cs("max_position_embeddings")
  static let inner = cs("filter_size")
  static let layers = cs("num_hidden_layers")
  static let heads = cs("num_heads")
}

/// Parts that decoder families share.
enum DecoderParts {
  static let headlessCaveat =
    "The HF model has no language model head while the CS one does. Converting to CS takes the embedding for it where the "
    + "config ties both, else draws it at random; converting to HF leaves it out."

  /// The projections of q, k and v in a layer of the Model Zoo.
  static let heads: [KeyPattern] = ["q", "k", "v"].map { "self_attn.proj_\($0)_dense_layer.{leaf}" }

  /// A model with a head around a body that Hugging Face keeps under `transformer`; the head is the matrix of the word
  /// embeddings unless the config says otherwise.
  @RulesBuilder static func withHead(over embeddings: String, @RulesBuilder _ body: () -> [Rule]) -> [Rule] {
    Rename("lm_head.{leaf}", "lm_head.{leaf}", [.vocabulary, .hidden], bias: .optional)
    Scope("transformer", "", body)
    Tie(
      .hf, "lm_head.weight", to: "transformer.\(embeddings)",
      when: .flag(.hf, "tie_word_embeddings", otherwise: true))
  }

  /// The head that only the Model Zoo has. With `bias`, one that is made anew gets a bias too.
  ///
  /// It is the embedding where the config ties both. A drawn one has a row for each row of the embedding; where the config
  /// says otherwise, the vendor's GPT-J follows the embedding (`followsEmbedding`), its other models follow the config and
  /// get a head that does not fit, so that is refused.
  @RulesBuilder static func addedHead(bias: Bool = false, followsEmbedding: Bool = false) -> [Rule] {
    let embedding = DrawTemplate("embedding_layer.word_embeddings.weight", overridesConfig: followsEmbedding)
    Tie(
      .cs, "lm_head.weight", to: "embedding_layer.word_embeddings.weight",
      when: .flag(.hf, "tie_word_embeddings", otherwise: true))
    Drawn(.cs, "lm_head.weight", shape: [.vocabulary, .hidden], like: embedding)
    if bias {
      Drawn(.cs, "lm_head.bias", shape: [.vocabulary], like: embedding, .zeros)
    } else {
      Only(.cs, "lm_head.bias", "the HF model has no head")
    }
  }

  /// A body and its final norm in Hugging Face; the Model Zoo keeps that norm, one module, under two names.
  @RulesBuilder static func finalNorm(
    _ hf: KeyPattern, bias: DeclaredShape.Presence = .optional, file: String = #fileID, line: Int = #line
  ) -> [Rule] {
    Rename(
      hf, mirrored: ["transformer_decoder.norm.{leaf}", "ln_f.{leaf}"], [.hidden], bias: bias, file: file,
      line: line)
  }

  /// Buffers of older versions of transformers, which makes them anew when it loads a model.
  @RulesBuilder static func oldBuffers(_ keys: KeyPattern..., file: String = #fileID, line: Int = #line) -> [Rule] {
    for key in keys {
      Only(.hf, key, "a buffer of older versions, made anew when the model is loaded", file: file, line: line)
    }
  }

  /// Embeddings that are one tensor with the head, and None in the checkpoint, while the config says that they are shared.
  @RulesBuilder static func sharedEmbeddings(file: String = #fileID, line: Int = #line) -> [Rule] {
    Tie(
      .cs, "embedding_layer.word_embeddings.weight", to: "lm_head.weight",
      when: .flag(.cs, "share_embedding_weights"), file: file, line: line)
  }

  /// What every HF decoder of the GPT line implies about a Model Zoo config. `attentionBias`: its projections have biases;
  /// nil for a model whose config says so.
  @ConfigRulesBuilder static func requirements(attentionBias: Bool?) -> [ConfigRule] {
    Require(.cs, "use_position_embedding", true)
    Require(.cs, "embedding_layer_norm", false)
    if let attentionBias {
      Require(.cs, "use_projection_bias_in_attention", .bool(attentionBias))
      Require(.cs, "use_ffn_bias_in_attention", .bool(attentionBias))
    }
    Require(.cs, "use_ffn_bias", true)
    Require(.cs, "fixed_sparse_attention", .null)
    Require(.cs, "norm_first", true)
    Require(.cs, "use_ff_layer1_dropout", false)
    RefuseKey(
      .cs, "attention_module", unless: "aiayn_attention", reason: "the HF model has keys and values for every head")
    DecoderConfig.refusedVariations()
  }

  /// Rotary embeddings that the HF model does not have, of models whose base is fixed and that do not scale positions.
  @ConfigRulesBuilder static var plainRotary: [ConfigRule] {
    fixedRotaryBase
    RefuseKey(.cs, "pos_scaling_factor", unless: 1, .null, reason: "the HF model does not scale positions")
    Ignore(.cs, "pos_scaling_type", "pos_scaling_extra_args")
  }

  /// The base of rotary embeddings that the HF model has in any case.
  @ConfigRulesBuilder static var fixedRotaryBase: [ConfigRule] {
    RefuseKey(.cs, "rope_theta", unless: 10000, .null, reason: "the HF model has the base 10000")
  }

  /// A feed-forward layer that HF leaves out, or null, is four times as wide as the model.
  @ConfigRulesBuilder static func assumedInnerWidth(file: String = #fileID, line: Int = #line) -> [ConfigRule] {
    Assume(.hf, "n_inner", orNull: true, file: file, line: line) { (config) throws(ConfigFailure) in
      let (width, overflow) = try config.requiredInt("n_embd").multipliedReportingOverflow(by: 4)
      if overflow { throw ConfigFailure("n_embd", "'n_embd' is too large to be the width of a model.") }
      return .int(width)
    }
  }
}

extension RuleContext {
  /// The mask with which an attention over at most `max_position_embeddings` positions hides the future.
  func causalMask() throws(RuleFailure) -> ElementGenerator {
    .causalMask(size: try length(.positions))
  }
}

extension ConfigRule {
  /// Keys with which transformers labels every config.
  @ConfigRulesBuilder static var huggingFaceBookkeeping: [ConfigRule] {
    Ignore(.hf, "architectures", "torch_dtype", "dtype", "transformers_version")
  }
}
