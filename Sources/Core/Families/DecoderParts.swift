/// Parts that decoder families share.
extension Model {
  static let headlessCaveat =
    "The HF model has no language model head while the CS one does. Converting to CS draws the head at random; "
    + "converting to HF leaves it out."

  /// The head that only the Model Zoo has.
  @RulesBuilder static var headlessRules: [Rule] {
    Drawn(.cs, "lm_head.weight", shape: [.cs("vocab_size"), .cs("hidden_size")])
    Only(.cs, "lm_head.bias", "the HF model has no head")
  }
}

extension ConfigRule {
  /// What every HF decoder of the GPT line implies about a Model Zoo config.
  @ConfigRulesBuilder static var gptDecoderRequirements: [ConfigRule] {
    Require(.cs, "use_projection_bias_in_attention", true)
    Require(.cs, "use_ffn_bias_in_attention", true)
    Require(.cs, "use_ffn_bias", true)
    Require(.cs, "use_bias_in_output", false)
    Require(.cs, "fixed_sparse_attention", .null)
    Require(.cs, "norm_first", true)
    Require(.cs, "use_ff_layer1_dropout", false)
  }

  /// Keys with which transformers labels a config; they describe the file and not the model.
  @ConfigRulesBuilder static var huggingFaceBookkeeping: [ConfigRule] {
    Ignore(.hf, "_name_or_path", "architectures", "model_type", "torch_dtype", "dtype", "transformers_version")
  }
}
