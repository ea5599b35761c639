/// GPT-J. Hugging Face on the left, Model Zoo on the right.
///
/// Attention and feed-forward run side by side behind one norm; heads rotate pairs of neighbours on both sides, so that
/// q, k and v need no reordering. Facts: Model Zoo Release 1.8.0 and 2.10.0 (`gptj_hf_cs.py` of the checkpoint converters,
/// `gptj_model.py`) and transformers' `modeling_gptj.py`.
extension Family {
  static let gptj = Family(
    "gptj",
    [
      Model(
        "gptj", csClass: "GPTJModel", ladder: .gptj,
        offered: .steps(from: Release(1, 8), every: Release(1, 8)...Release(2, 0)),
        bridges: GPTJ.bridges(hfClass: "GPTJForCausalLM", modelType: "gptj", muP: GPTJ.muP, config: GPTJ.config) {
          release in
          GPTJ.withHead { GPTJ.body { GPTJ.separateHeads(release) } }
        }),
      Model(
        "gptj-headless", zooName: "gptj", csClass: "GPTJModel", caveat: DecoderParts.headlessCaveat, ladder: .gptj,
        offered: .steps(from: Release(2, 0)),
        bridges: GPTJ.bridges(hfClass: "GPTJModel", modelType: "gptj", muP: GPTJ.muP, config: GPTJ.config) {
          release in
          GPTJ.withoutHead(followsEmbedding: true) { GPTJ.body { GPTJ.separateHeads(release) } }
        }),
    ])
}

/// The parts of GPT-J, for itself and for CodeGen.
enum GPTJ {
  static func bridges(
    hfClass: String, modelType: String, muP: @escaping @Sendable (Release) -> MuPSupport = { _ in .refused },
    config: @escaping @Sendable (Release) -> [ConfigRule],
    @RulesBuilder tensors: @escaping @Sendable (Release) -> [Rule]
  ) -> [Bridge] {
    [Release(1, 7)...Release(1, 8), Release(2, 0)...Release.current].map { releases in
      Bridge(
        covers: releases, hfClass: hfClass, modelTypes: [modelType],
        folds: [releases.lowerBound < Release(2, 0) ? .anySparsity : .sidebandSparsity], muP: muP,
        tensors: tensors, config: config)
    }
  }

  /// muP came to GPT-J with 2.3. From 2.4 on, a `scale_qk_dot_by_d` that is left out is false, muP or not.
  @Sendable static func muP(_ release: Release) -> MuPSupport {
    release < Release(2, 3) ? .refused : .folded(.decoderMuP(dividesByDefault: release < Release(2, 4)))
  }

  // MARK: Tensors

  /// A model for causal language modelling around a body.
  @RulesBuilder static func withHead(@RulesBuilder _ body: () -> [Rule]) -> [Rule] {
    Rename(
      "lm_head.{leaf}", "lm_head.{leaf}", [.vocabulary, .hidden],
      bias: .when(.flag(.cs, "use_bias_in_output")))
    Scope("transformer", "", body)
    Tie(.hf, "lm_head.weight", to: "transformer.wte.weight", when: .flag(.hf, "tie_word_embeddings"))
  }

  /// A body alone, which gets a head in the Model Zoo.
  @RulesBuilder static func withoutHead(
    followsEmbedding: Bool = false, @RulesBuilder _ body: () -> [Rule]
  ) -> [Rule] {
    body()
    DecoderParts.addedHead(bias: true, followsEmbedding: followsEmbedding)
  }

  /// Everything but the head; `heads` says how a block keeps q, k and v.
  @RulesBuilder static func body(@RulesBuilder _ heads: () -> [Rule]) -> [Rule] {
    Rename("wte.weight", "embedding_layer.word_embeddings.weight", [.vocabulary, .hidden])
    DecoderParts.finalNorm("ln_f.{leaf}", bias: .always)
    DecoderParts.sharedEmbeddings()
    Scope("h.{layer}", "transformer_decoder.layers.{layer}", count: .layers) {
      heads()
      Rename("ln_1.{leaf}", "norm1.{leaf}", [.hidden])
      Rename("attn.out_proj.weight", "self_attn.proj_output_dense_layer.weight", [.hidden, .hidden])
      Rename("mlp.fc_in.{leaf}", "ffn.ffn.0.linear_layer.{leaf}", [.inner, .hidden])
      Rename("mlp.fc_out.{leaf}", "ffn.ffn.1.linear_layer.{leaf}", [.hidden, .inner])
      Refuse(.hf, "attn.out_proj.bias", noAttentionBias)
      Refuse(.cs, "self_attn.proj_{part=q|k|v|output}_dense_layer.bias", noAttentionBias)
    }
  }

  static let noAttentionBias = "the HF model has no bias in the projections of its attention"

  /// q, k and v each in a matrix of its own, behind the one norm of a block.
  @RulesBuilder static func separateHeads(_ release: Release) -> [Rule] {
    Refuse(
      .cs, "norm3.{leaf}", "the model has a second norm in each block (use_untied_layer_norm); the HF model has one")
    Refuse(.hf, "attn.{part=q|k|v}_proj.bias", noAttentionBias)
    Rename("attn.q_proj.weight", "self_attn.proj_q_dense_layer.weight", [.hidden, .hidden])
    Rename("attn.k_proj.weight", "self_attn.proj_k_dense_layer.weight", [.hidden, .hidden])
    Rename("attn.v_proj.weight", "self_attn.proj_v_dense_layer.weight", [.hidden, .hidden])
    if release < Release(2, 0) {
      Generated(.hf, "attn.bias", beside: "attn.out_proj.weight") { (context) throws(RuleFailure) in
        try context.causalMask()
      }
      Generated(.hf, "attn.masked_bias", beside: "attn.out_proj.weight") { (_) throws(RuleFailure) in .scalar(-1e9) }
    } else {
      DecoderParts.oldBuffers("attn.bias", "attn.masked_bias")
    }
  }

  // MARK: Config

  @Sendable @ConfigRulesBuilder static func config(_ release: Release) -> [ConfigRule] {
    sharedConfig(release, dropout: 0.1)
    Key(
      "rotary", "position_embedding_type",
      forward: { (value, _) throws(ConfigFailure) in
        guard value.isEqualInPython(true) else { throw .unsupported("rotary", value, supported: [true]) }
        return "rotary"
      },
      backward: { (value, _) throws(ConfigFailure) in
        guard value == "rotary" else { throw .unsupported("position_embedding_type", value, supported: ["rotary"]) }
        return true
      })
    // The head of the HF model always has a bias; a CS model without one keeps that fact in the HF config.
    Key("use_bias_in_output", "use_bias_in_output", .flag, forward: { (_, _) throws(ConfigFailure) in true })
    Fill(.cs, "use_bias_in_output", true)
    if release >= Release(2, 0) {
      Implied(.cs, "use_untied_layer_norm", false)
    }
  }

  /// What the configs of GPT-J and CodeGen have in common. `dropout` is what a dropout that HF leaves out means.
  @ConfigRulesBuilder static func sharedConfig(_ release: Release, dropout: Double) -> [ConfigRule] {
    // Embedding
    Key(dimension: "vocab_size")
    Key(dimension: "n_positions", "max_position_embeddings")
    Key(integer: "rotary_dim")
    Key(number: "embd_pdrop", "embedding_dropout_rate")
    Key(flag: "tie_word_embeddings", "share_embedding_weights")
    // Decoder
    Key(dimension: "n_embd", "hidden_size")
    Key(dimension: "n_head", "num_heads")
    Key(dimension: "n_layer", "num_hidden_layers")
    Key(dimension: "n_inner", "filter_size")
    Key(activation: "activation_function", at: release)
    Key(number: "attn_pdrop", "attention_dropout_rate")
    Key(number: "resid_pdrop", "residual_dropout_rate")
    Key(number: "layer_norm_epsilon")
    Key(number: "initializer_range")
    Require(.hf, "scale_attn_weights", true)
    DecoderParts.requirements(attentionBias: false)
    DecoderParts.plainRotary
    if release >= Release(2, 0) { Require(.cs, "norm_type", "layernorm") }
    // What the Model Zoo is told explicitly
    Fill(.cs, "use_ffn_bias_in_attention", false)
    Fill(.cs, "use_projection_bias_in_attention", false)
    Fill(.cs, "use_ffn_bias", true)
    Implied(.cs, "attention_type", "scaled_dot_product")
    // What a left-out key means
    Assume(
      .hf,
      [
        "vocab_size": 50400, "n_positions": 2048, "n_embd": 4096, "n_layer": 28, "n_head": 16, "rotary_dim": 64,
        "activation_function": "gelu_new", "resid_pdrop": .double(dropout), "embd_pdrop": .double(dropout),
        "attn_pdrop": .double(dropout), "initializer_range": 0.02, "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": false,
      ])
    DecoderParts.assumedInnerWidth()
    modelZooDefaults
    ConfigRule.huggingFaceBookkeeping
  }

  /// What a key means that a config of the Model Zoo's `GPTJModel` leaves out; GPT-NeoX is this class too.
  @ConfigRulesBuilder static var modelZooDefaults: [ConfigRule] {
    Assume(
      .cs,
      [
        "max_position_embeddings": 1024, "embedding_dropout_rate": 0.1, "share_embedding_weights": true,
        "residual_dropout_rate": 0.1, "nonlinearity": "gelu", "layer_norm_epsilon": 1e-5, "use_ffn_bias": false,
        "attention_dropout_rate": 0.1, "use_projection_bias_in_attention": true, "use_ffn_bias_in_attention": true,
        "initializer_range": 0.02, "use_bias_in_output": false, "norm_first": true,
      ])
  }
}
