import OrderedCollections

/// StarCoder and the models that were tuned from it. Hugging Face on the left, Model Zoo on the right.
///
/// GPT-2 with `Linear` layers and keys and values that all heads share (multi-query) or each has for itself (multi-head).
/// Facts: Model Zoo Release 2.10.0 (`starcoder.py` of its checkpoint converters) and transformers' `modeling_gpt_bigcode.py`.
extension Family {
  static let starCoder = Family(
    "starcoder",
    [
      Model(
        "starcoder", aliases: ["octocoder", .init("wizardcoder", zooName: "gpt2"), "sqlcoder"],
        csClass: "GPT2LMHeadModel (configured as StarCoder)", ladder: .gpt2.from(Release(2, 0)),
        offered: .steps(from: Release(2, 0)),
        bridges: StarCoder.bridges(hfClass: "GPTBigCodeForCausalLM") { release in
          DecoderParts.withHead(over: "wte.weight") { StarCoder.decoder(release) }
        }),
      Model(
        "starcoder-headless", zooName: "starcoder",
        aliases: ["octocoder-headless", .init("wizardcoder-headless", zooName: "gpt2"), "sqlcoder-headless"],
        csClass: "GPT2LMHeadModel (configured as StarCoder)", caveat: DecoderParts.headlessCaveat,
        ladder: .gpt2.from(Release(2, 1)), offered: .steps(from: Release(2, 1)),
        bridges: StarCoder.bridges(hfClass: "GPTBigCodeModel") { release in
          StarCoder.decoder(release)
          DecoderParts.addedHead()
        }),
    ])
}

enum StarCoder {
  static func bridges(
    hfClass: String, @RulesBuilder tensors: @escaping @Sendable (Release) -> [Rule]
  ) -> [Bridge] {
    [
      Bridge(
        covers: Release(2, 1)...Release.current, hfClass: hfClass, modelTypes: ["gpt_bigcode"],
        folds: [.sidebandSparsity], muP: { .folded(.decoderMuP(positions: GPT2.positions(at: $0))) }, tensors: tensors,
        config: config)
    ]
  }

  // MARK: Tensors

  private static let sharesHeads = RuleCondition.flag(.hf, "multi_query", otherwise: true)

  /// The parts that the models with and without a head share.
  @RulesBuilder static func decoder(_ release: Release) -> [Rule] {
    GPT2.positions("wpe.weight", release)
    GPT2.body {
      // All heads of q, then one of k and one of v.
      When(sharesHeads) {
        Split(
          "attn.c_attn.{leaf}", into: DecoderParts.heads, Packing(rows: [.parts, .rest], shares: [.heads, 1, 1]),
          [.hidden, .hidden], [.hidden / .heads, .hidden], [.hidden / .heads, .hidden])
      }
      // q, k and v of head 0, then of head 1, ...
      When(!sharesHeads) {
        Split(
          "attn.c_attn.{leaf}", into: DecoderParts.heads, Packing(rows: [.dimension(.heads), .parts, .rest]),
          [.hidden, .hidden])
      }
      Rename("attn.c_proj.{leaf}", "self_attn.proj_output_dense_layer.{leaf}", [.hidden, .hidden])
      Rename("mlp.c_fc.{leaf}", "ffn.ffn.0.linear_layer.{leaf}", [.inner, .hidden])
      Rename("mlp.c_proj.{leaf}", "ffn.ffn.1.linear_layer.{leaf}", [.hidden, .inner])
      Only(.hf, "attn.bias", "a buffer of older versions, made anew when the model is loaded")
      Only(.hf, "attn.masked_bias", "a buffer of older versions, made anew when the model is loaded")
      Refuse(.hf, "attn.q_attn.{leaf}", "the Model Zoo's StarCoder has no cross-attention")
    }
  }

  // MARK: Config

  @Sendable @ConfigRulesBuilder static func config(_ release: Release) -> [ConfigRule] {
    // What a left-out key means
    for (left, right, value) in defaults {
      Assume(.hf, left, value)
      Assume(.cs, right, value)
    }
    Assume(.hf, "scale_attn_weights", true)
    Assume(.cs, "attention_type", "scaled_dot_product")
    GPT2.config(release).except(
      "nonlinearity", "attention_module", "scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn")
    activation(release)
    sharedHeads
    Key(flag: "attention_softmax_in_fp32", "attention_softmax_fp32")
    Ignore(.hf, "scale_attention_softmax_in_fp32")
    // What each side is told explicitly
    Fill(.cs, "position_embedding_type", "learned")
    Fill(.cs, "use_projection_bias_in_attention", true)
    Fill(.cs, "use_ffn_bias_in_attention", true)
    Fill(.cs, "use_ffn_bias", true)
    Fill(.cs, "loss_scaling", "num_tokens")
    Ignore(.cs, "loss_scaling")
    Fill(.hf, bookkeeping)
    Ignore(
      .hf, "validate_runner_input", "inference_runner", "max_sequence_length", "max_batch_size", "pre_allocate_kv_cache"
    )
  }

  /// StarCoder's GELU is the form with tanh, which the Model Zoo knows as `gelu_new` only. The vendor's tool copies the name
  /// of transformers, so that stands in configs of the Model Zoo too.
  @ConfigRulesBuilder private static func activation(_ release: Release) -> [ConfigRule] {
    Key(
      "activation_function", "nonlinearity",
      forward: { (value, _) throws(ConfigFailure) in
        try Activations.modelZoo(value, key: "activation_function", at: release)
      },
      backward: { (value, _) throws(ConfigFailure) in
        if value == "gelu_new" || value == huggingFaceGELU { return huggingFaceGELU }
        return try Activations.huggingFace(value, key: "nonlinearity", at: release)
      })
    Assume(.hf, "activation_function", huggingFaceGELU)
    Fill(.cs, "nonlinearity", "gelu_new")
  }

  private static let huggingFaceGELU: ConfigValue = "gelu_pytorch_tanh"

  /// `multi_query` as the Model Zoo says it: one group of keys and values.
  @ConfigRulesBuilder private static var sharedHeads: [ConfigRule] {
    Keys(["multi_query"], ["attention_module", "extra_attention_params.num_kv_groups"]) {
      (config) throws(ConfigFailure) in
      guard config["multi_query"]?.isTruthyInPython ?? true else { return ["attention_module": "aiayn_attention"] }
      return ["attention_module": "multiquery_attention", "extra_attention_params.num_kv_groups": 1]
    } backward: { (config) throws(ConfigFailure) in
      let groups = config.value(at: "extra_attention_params.num_kv_groups") ?? .null
      switch config["attention_module"] ?? "multiquery_attention" {
      case "aiayn_attention": return ["multi_query": false]
      case "multiquery_attention" where groups == .null || groups.isEqualInPython(1): return ["multi_query": true]
      case "multiquery_attention" where groups == config["num_heads"]: return ["multi_query": false]
      case "multiquery_attention":
        throw .unsupported(
          "extra_attention_params.num_kv_groups", groups, supported: [1, config["num_heads"] ?? .null])
      case let other:
        throw .unsupported("attention_module", other, supported: ["multiquery_attention", "aiayn_attention"])
      }
    }
    // Says the same as multi_query.
    Ignore(.hf, "num_key_value_heads")
  }

  /// Sizes and rates of StarCoder itself, which the vendor's tool takes for left-out keys.
  private static let defaults: [(hf: String, cs: String, value: ConfigValue)] = [
    ("n_embd", "hidden_size", 6144), ("n_head", "num_heads", 48), ("n_layer", "num_hidden_layers", 40),
    ("n_positions", "max_position_embeddings", 8192), ("vocab_size", "vocab_size", 49152),
    ("attn_pdrop", "attention_dropout_rate", 0.0), ("resid_pdrop", "dropout_rate", 0.0),
    ("embd_pdrop", "embedding_dropout_rate", 0.0),
  ]

  /// Keys that the vendor's tool writes beside the model's own.
  private static let bookkeeping: KeyValuePairs<String, ConfigValue> = [
    "architectures": ["GPTBigCodeForCausalLM"], "validate_runner_input": true, "use_cache": true,
    "transformers_version": "4.28.1", "summary_use_proj": true,
    "summary_type": "cls_index", "inference_runner": 0, "eos_token_id": 0, "bos_token_id": 0,
    "max_sequence_length": .null, "max_batch_size": .null,
  ]
}
