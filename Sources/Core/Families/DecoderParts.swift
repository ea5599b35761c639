/// Parts that decoder families share.
extension Model {
  static let headlessCaveat =
    "The HF model has no language model head while the CS one does. Converting to CS draws the head at random; "
    + "converting to HF leaves it out."

  /// The head that only the Model Zoo has. With `bias`, one that is made anew gets a bias too.
  ///
  /// It has a row for each row of the embedding. Where the config says otherwise, the vendor's GPT-J follows the
  /// embedding; its other models follow the config and get a head that does not fit, so that is refused.
  @RulesBuilder static func addedHead(bias: Bool = false, followsEmbedding: Bool = false) -> [Rule] {
    let embedding = DrawTemplate("embedding_layer.word_embeddings.weight", overridesConfig: followsEmbedding)
    Drawn(.cs, "lm_head.weight", shape: [.cs("vocab_size"), .cs("hidden_size")], like: embedding)
    if bias {
      Drawn(.cs, "lm_head.bias", shape: [.cs("vocab_size")], like: embedding, standardDeviation: 0)
    } else {
      Only(.cs, "lm_head.bias", "the HF model has no head")
    }
  }

  /// A body and its final norm in Hugging Face; the Model Zoo keeps that norm, one module, under two names.
  static func finalNorm(_ hf: KeyPattern, file: String = #fileID, line: Int = #line) -> Rename {
    Rename(hf, mirrored: ["transformer_decoder.norm.{leaf}", "ln_f.{leaf}"], file: file, line: line)
  }

  /// Embeddings that are one tensor with the head, and None in the checkpoint, while the config says that they are shared.
  static func sharedEmbeddings(file: String = #fileID, line: Int = #line) -> Tie {
    Tie(
      .cs, "embedding_layer.word_embeddings.weight", to: "lm_head.weight",
      when: ConfigCondition(.cs, "share_embedding_weights"), file: file, line: line)
  }

  /// Release 1.8 writes keys with and without `model.`, depending on which base class the model was trained with.
  static let decoderRevisions = [Revision(Release(1, 8), optionalPrefix: "model.")]
}

extension RuleContext {
  /// The mask with which an attention over at most `max_position_embeddings` positions hides the future.
  func causalMask() throws(RuleFailure) -> ElementGenerator {
    .causalMask(size: try length(.cs("max_position_embeddings")))
  }
}

extension ConfigRule {
  /// What every HF decoder of the GPT line implies about a Model Zoo config. `attentionBias`: its projections have biases.
  @ConfigRulesBuilder static func gptDecoderRequirements(attentionBias: Bool) -> [ConfigRule] {
    Require(.cs, "use_position_embedding", true)
    Require(.cs, "embedding_layer_norm", false)
    Require(.cs, "use_projection_bias_in_attention", .bool(attentionBias))
    Require(.cs, "use_ffn_bias_in_attention", .bool(attentionBias))
    Require(.cs, "use_ffn_bias", true)
    Require(.cs, "fixed_sparse_attention", .null)
    Require(.cs, "norm_first", true)
    Require(.cs, "use_ff_layer1_dropout", false)
  }

  /// A feed-forward layer that HF leaves out, or null, is four times as wide as the model.
  static func assumedInnerWidth(file: String = #fileID, line: Int = #line) -> Assume {
    Assume(.hf, "n_inner", orNull: true, file: file, line: line) { (config) throws(ConfigFailure) in
      let (width, overflow) = try config.requiredInt("n_embd").multipliedReportingOverflow(by: 4)
      if overflow { throw ConfigFailure("n_embd", "'n_embd' is too large to be the width of a model.") }
      return .int(width)
    }
  }

  /// Keys with which transformers labels a config; they describe the file and not the model.
  @ConfigRulesBuilder static var huggingFaceBookkeeping: [ConfigRule] {
    Ignore(.hf, "_name_or_path", "architectures", "model_type", "torch_dtype", "dtype", "transformers_version")
  }
}
