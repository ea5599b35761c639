/// GPT-2. Hugging Face on the left, Model Zoo on the right.
///
/// Facts: Model Zoo Release 1.8.0 (`gpt2_hf_cs.py` of its checkpoint converters) and transformers' `modeling_gpt2.py`.
extension Family {
  static let gpt2 = Family(
    "gpt2",
    [
      Model(
        "gpt2", csClass: "GPT2LMHeadModel", oldest: Release(1, 7),
        bridge: GPT2.bridge(hfClass: "GPT2LMHeadModel") {
          Rename("lm_head.{leaf}", "lm_head.{leaf}")
          Scope("transformer", "") { GPT2.decoder }
          Tie(.hf, "lm_head.weight", to: "transformer.wte.weight", when: ConfigCondition(.hf, "tie_word_embeddings"))
        },
        revisions: Model.decoderRevisions),
      Model(
        "gpt2-headless", csClass: "GPT2LMHeadModel", caveat: Model.headlessCaveat, oldest: Release(1, 7),
        bridge: GPT2.bridge(hfClass: "GPT2Model") {
          GPT2.decoder
          Model.addedHead()
        },
        revisions: Model.decoderRevisions),
    ])
}

enum GPT2 {
  static func bridge(hfClass: String, @RulesBuilder tensors: () -> [Rule]) -> Bridge {
    Bridge(to: Release(1, 7), hfClass: hfClass, modelType: "gpt2", tensors: tensors(), config: config)
  }

  /// The parts that the models with and without a head share.
  @RulesBuilder static var decoder: [Rule] {
    Rename("wte.{leaf}", "embedding_layer.word_embeddings.{leaf}")
    Rename("wpe.{leaf}", "embedding_layer.position_embeddings.{leaf}")
    Model.finalNorm("ln_f.{leaf}")
    Model.sharedEmbeddings()
    Scope("h.{layer}", "transformer_decoder.layers.{layer}") {
      Rename("ln_1.{leaf}", "norm1.{leaf}")
      Rename("ln_2.{leaf}", "norm3.{leaf}")
      // transformers' Conv1D stores its weight as [in, out], Linear as [out, in].
      Split(
        "attn.c_attn.{leaf}",
        into: [
          "self_attn.proj_q_dense_layer.{leaf}", "self_attn.proj_k_dense_layer.{leaf}",
          "self_attn.proj_v_dense_layer.{leaf}",
        ],
        Packing(rows: [.parts, .rest], transposed: true, square: true))
      Transpose("attn.c_proj.{leaf}", "self_attn.proj_output_dense_layer.{leaf}")
      Transpose("mlp.c_fc.{leaf}", "ffn.ffn.0.linear_layer.{leaf}")
      Transpose("mlp.c_proj.{leaf}", "ffn.ffn.1.linear_layer.{leaf}")
      Refuse(.hf, "attn.q_attn.{leaf}", "the Model Zoo's GPT-2 has no cross-attention")
      Generated(.hf, "attn.bias", beside: "attn.c_attn.bias") { (context) throws(RuleFailure) in
        try context.causalMask()
      }
      Generated(.hf, "attn.masked_bias", beside: "attn.c_attn.bias") { (_) throws(RuleFailure) in .scalar(-1e4) }
    }
  }

  @ConfigRulesBuilder static var config: [ConfigRule] {
    // Embedding
    Key(dimension: "vocab_size")
    Key(dimension: "n_positions", "max_position_embeddings")
    Key("embd_pdrop", "embedding_dropout_rate")
    Key("tie_word_embeddings", "share_embedding_weights")
    Require(.cs, "position_embedding_type", "learned")
    // Decoder
    Key(dimension: "n_embd", "hidden_size")
    Key(dimension: "n_head", "num_heads")
    Key(dimension: "n_layer", "num_hidden_layers")
    Key(dimension: "n_inner", "filter_size")
    Key("activation_function", "nonlinearity")
    Key("attn_pdrop", "attention_dropout_rate")
    Key("resid_pdrop", "dropout_rate")
    Key("rotary_dim")
    Key("layer_norm_epsilon")
    Key("initializer_range")
    Key(
      "scale_attn_weights", "attention_type",
      forward: { (value, _) throws(ConfigFailure) in value.isTruthyInPython ? "scaled_dot_product" : "dot_product" },
      backward: { (value, _) throws(ConfigFailure) in
        switch value {
        case "scaled_dot_product": true
        case "dot_product": false
        default: throw .unsupported("attention_type", value, supported: ["scaled_dot_product", "dot_product"])
        }
      })
    ConfigRule.gptDecoderRequirements(attentionBias: true)
    Require(.cs, "use_bias_in_output", false)
    Require(.hf, "scale_attn_by_inverse_layer_idx", false)
    Require(.hf, "reorder_and_upcast_attn", false)
    // What a left-out key means
    Assume(.hf, "tie_word_embeddings", true)
    Assume(.cs, "share_embedding_weights", true)
    ConfigRule.assumedInnerWidth()
    Assume(.cs, "embedding_dropout_rate") { (config) throws(ConfigFailure) in try config.required("dropout_rate") }
    Assume(.cs, "attention_dropout_rate") { (config) throws(ConfigFailure) in try config.required("dropout_rate") }
    ConfigRule.huggingFaceBookkeeping
  }
}
