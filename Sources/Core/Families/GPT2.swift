/// GPT-2. Hugging Face on the left, Model Zoo on the right.
///
/// Facts: Model Zoo Release 1.8.0 and 2.10.0 (`gpt2_hf_cs.py` of the checkpoint converters) and transformers'
/// `modeling_gpt2.py`.
extension Family {
  static let gpt2 = Family(
    "gpt2",
    [
      Model(
        "gpt2", csClass: "GPT2LMHeadModel", ladder: .gpt2,
        offered: .steps(
          from: Release(1, 8), every: Release(1, 8)...Release(2, 0),
          hub: (Release(2, 2), Release(2, 3)...Release(2, 9))),
        bridges: GPT2.bridges(hfClass: "GPT2LMHeadModel") { release in
          DecoderParts.withHead(over: "wte.weight") { GPT2.decoder(release) }
        }),
      Model(
        "gpt2-headless", zooName: "gpt2", csClass: "GPT2LMHeadModel", caveat: DecoderParts.headlessCaveat,
        ladder: .gpt2,
        offered: .steps(from: Release(2, 1)),
        bridges: GPT2.bridges(hfClass: "GPT2Model") { release in
          GPT2.decoder(release)
          DecoderParts.addedHead()
        }),
    ])
}

enum GPT2 {
  static func bridges(
    hfClass: String, @RulesBuilder tensors: @escaping @Sendable (Release) -> [Rule]
  ) -> [Bridge] {
    [Release(1, 7)...Release(1, 8), Release(2, 1)...Release.current].map { releases in
      Bridge(
        covers: releases, hfClass: hfClass, modelTypes: ["gpt2"],
        folds: [releases.lowerBound < Release(2, 0) ? .anySparsity : .sidebandSparsity],
        muP: { .folded(.decoderMuP(positions: positions(at: $0))) }, tensors: tensors, config: config)
    }
  }

  // MARK: Tensors

  /// The parts that the models with and without a head share.
  @RulesBuilder static func decoder(_ release: Release) -> [Rule] {
    positions("wpe.weight", release)
    body {
      packedHeads
      Refuse(.hf, "attn.q_attn.{leaf}", "the Model Zoo's GPT-2 has no cross-attention")
      buffers(beside: "attn.c_attn.bias")
      feedForward
    }
  }

  /// Embeddings, norms and layers; `block` says what a layer has besides its norms.
  @RulesBuilder static func body(@RulesBuilder _ block: () -> [Rule]) -> [Rule] {
    Rename("wte.weight", "embedding_layer.word_embeddings.weight", [.vocabulary, .hidden])
    DecoderParts.finalNorm("ln_f.{leaf}")
    DecoderParts.sharedEmbeddings()
    Scope("h.{layer}", "transformer_decoder.layers.{layer}", count: .layers) {
      Rename("ln_1.{leaf}", "norm1.{leaf}", [.hidden])
      Rename("ln_2.{leaf}", "norm3.{leaf}", [.hidden])
      block()
    }
  }

  /// Attention with all of q, then k, then v in one matrix. transformers' Conv1D stores its weight as [in, out], Linear
  /// as [out, in].
  @RulesBuilder static var packedHeads: [Rule] {
    Split(
      "attn.c_attn.{leaf}", into: DecoderParts.heads,
      Packing(rows: [.parts, .rest], transposed: true, square: true), [.hidden, .hidden])
    Transpose("attn.c_proj.{leaf}", "self_attn.proj_output_dense_layer.{leaf}", [.hidden, .hidden])
  }

  /// The two layers behind the attention.
  @RulesBuilder static var feedForward: [Rule] {
    Transpose("mlp.c_fc.{leaf}", "ffn.ffn.0.linear_layer.{leaf}", [.inner, .hidden])
    Transpose("mlp.c_proj.{leaf}", "ffn.ffn.1.linear_layer.{leaf}", [.hidden, .inner])
  }

  /// The buffers that transformers keeps in each layer.
  @RulesBuilder static func buffers(beside key: KeyPattern) -> [Rule] {
    Generated(.hf, "attn.bias", beside: key) { (context) throws(RuleFailure) in try context.causalMask() }
    Generated(.hf, "attn.masked_bias", beside: key) { (_) throws(RuleFailure) in .scalar(-1e4) }
  }

  /// Learned positions, which release 2.1 put into a module of their own.
  @RulesBuilder static func positions(_ hf: KeyPattern, _ release: Release) -> [Rule] {
    Rename(hf, positions(at: release), [.positions, .hidden])
  }

  /// The key of learned positions.
  static func positions(at release: Release) -> KeyPattern {
    release >= Release(2, 1)
      ? "embedding_layer.position_embeddings.embed.weight" : "embedding_layer.position_embeddings.weight"
  }

  // MARK: Config

  @Sendable @ConfigRulesBuilder static func config(_ release: Release) -> [ConfigRule] {
    // Embedding
    Key(dimension: "vocab_size")
    Key(dimension: "n_positions", "max_position_embeddings")
    Key(number: "embd_pdrop", "embedding_dropout_rate")
    Key(flag: "tie_word_embeddings", "share_embedding_weights")
    Require(.cs, "position_embedding_type", "learned")
    // Decoder
    Key(dimension: "n_embd", "hidden_size")
    Key(dimension: "n_head", "num_heads")
    Key(dimension: "n_layer", "num_hidden_layers")
    Key(dimension: "n_inner", "filter_size")
    Key(activation: "activation_function", at: release)
    Key(number: "attn_pdrop", "attention_dropout_rate")
    Key(number: "resid_pdrop", "dropout_rate")
    Key(integer: "rotary_dim")
    Key(number: "layer_norm_epsilon")
    Key(number: "initializer_range")
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
    DecoderParts.requirements(attentionBias: true)
    Require(.cs, "use_bias_in_output", false)
    Require(.hf, "scale_attn_by_inverse_layer_idx", false)
    Require(.hf, "reorder_and_upcast_attn", false)
    if release >= Release(2, 0) {
      Require(.cs, "norm_type", "layernorm")
      Fill(.cs, "use_bias_in_output", false)
    }
    // What a left-out key means
    Assume(.hf, "tie_word_embeddings", true)
    Assume(.cs, "share_embedding_weights", true)
    DecoderParts.assumedInnerWidth()
    Assume(.cs, "embedding_dropout_rate") { (config) throws(ConfigFailure) in try config.required("dropout_rate") }
    Assume(.cs, "attention_dropout_rate") { (config) throws(ConfigFailure) in try config.required("dropout_rate") }
    ConfigRule.huggingFaceBookkeeping
  }
}
