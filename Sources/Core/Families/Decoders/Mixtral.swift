import OrderedCollections

/// Mixtral: Mistral with a mixture of experts in place of the feed-forward layer. Hugging Face on the left, Model Zoo on
/// the right.
///
/// Facts: Model Zoo Release 2.10.0 (`mixtral.py` of its checkpoint converters, `FeedForwardNetwork.py`) and transformers'
/// `modeling_mixtral.py`.
extension Family {
  static let mixtral = Family(
    "mixtral",
    [
      Model(
        "mixtral", csClass: Llama.csClass("Mixtral"), ladder: .gpt2.from(Release(2, 3)),
        offered: .steps(from: Release(2, 3)),
        bridges: [Mixtral.bridge("MixtralForCausalLM") { Llama.causal { Mixtral.body } }]),
      Model(
        "mixtral-headless", zooName: "mixtral", csClass: Llama.csClass("Mixtral"),
        caveat: DecoderParts.headlessCaveat, ladder: .gpt2.from(Release(2, 3)), offered: .steps(from: Release(2, 3)),
        bridges: [Mixtral.bridge("MixtralModel") { Llama.headless { Mixtral.body } }]),
    ])
}

enum Mixtral {
  static func bridge(_ hfClass: String, @RulesBuilder tensors: () -> [Rule]) -> Bridge {
    Llama.bridge(hfClass, "mixtral", from: Release(2, 3), config: config, tensors: tensors)
  }

  private static let experts = Dimension.cs("moe.num_experts")

  @RulesBuilder static var body: [Rule] {
    Llama.embeddings
    DecoderParts.finalNorm("norm.{leaf}")
    Llama.layers {
      Llama.norms
      Llama.attention()
      Scope("block_sparse_moe", "ffn") {
        Rename("gate.{leaf}", "gate.{leaf}", [experts, .hidden], bias: .optional)
        expert("w1", "0.linear_layer_for_glu", .inner, .hidden)
        expert("w3", "0.linear_layer", .inner, .hidden)
        expert("w2", "1.linear_layer", .hidden, .inner)
      }
    }
  }

  /// One matrix of every expert; the optimized implementation keeps all in one tensor.
  @RulesBuilder private static func expert(
    _ hf: String, _ cs: String, _ rows: Dimension, _ columns: Dimension
  ) -> [Rule] {
    Stack(
      "experts.{expert}.\(hf).weight", "experts.fused_ffns.\(cs).expert_weights", over: "expert", count: experts,
      [rows, experts, columns])
  }

  @Sendable @ConfigRulesBuilder static func config(_ release: Release) -> [ConfigRule] {
    Llama.common(release)
    Llama.slidingWindow(otherwise: .null)
    DecoderConfig.groupedQueries(otherwise: 8, isWritten: true)
    DecoderConfig.attentionBias(nil)
    DecoderConfig.feedForwardBias(nil)
    RopeScaling.rules(base: 1e6)
    DecoderConfig.refusedVariations(except: ["attention_sliding_window_length", "moe.num_experts"])
    // Experts
    Key(dimension: "num_local_experts", "moe.num_experts")
    Key(dimension: "num_experts_per_tok", "moe.top_k")
    Key(number: "router_aux_loss_coef", "moe.load_balancing_loss_coef")
    Implied(.cs, "moe.moe_implementation", "optimized")
    for (key, harmless) in routing {
      RefuseKey(.cs, "moe.\(key)", unless: harmless, reason: "the HF model routes its tokens otherwise")
    }
    // They serve training.
    Ignore(.hf, "output_router_logits", "router_jitter_noise")
    Ignore(.cs, "moe.router_fp32", "moe.sinkhorn_n_iters", "moe.gate_initializer")
    // What a left-out key means
    Llama.mistralSizes
    Assume(.hf, "rms_norm_eps", 1e-5)
    Assume(.hf, "num_local_experts", 8)
    Assume(.hf, "num_experts_per_tok", 2)
    Assume(.hf, "router_aux_loss_coef", 0.001)
    Assume(.cs, "moe.top_k", 1)
    Assume(.cs, "moe.load_balancing_loss_coef", 0.0)
  }

  /// How the Model Zoo may send tokens to experts, with the values that mean Mixtral's way.
  private static let routing: KeyValuePairs<String, [ConfigValue]> = [
    "num_shared_experts": [.null, 0], "null_expert_bias": [.null, 0], "router_use_bias": [.null, false],
    "routing_algorithm": ["learned"], "router_selection_nonlinearity": ["softmax"],
    "expert_weighting_nonlinearity": ["softmax"], "expert_weighting_normalization": [true],
    "probability_before_ffn": [false],
  ]
}
