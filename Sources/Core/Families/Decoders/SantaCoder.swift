import OrderedCollections

/// SantaCoder: GPT-2 with keys and values that all heads share. Hugging Face on the left, Model Zoo on the right.
///
/// Facts: Model Zoo Release 2.10.0 (`santacoder.py` of its checkpoint converters) and `modeling_gpt2_mq.py`, which comes with
/// the model's weights.
extension Family {
  static let santaCoder = Family(
    "santacoder",
    [
      Model(
        "santacoder", csClass: "GPT2LMHeadModel (configured as SantaCoder)", ladder: .gpt2.from(Release(2, 1)),
        offered: .steps(from: Release(2, 1)),
        bridges: SantaCoder.bridges(hfClass: "GPT2LMHeadCustomModel") { release in
          DecoderParts.withHead(over: "wte.weight") { SantaCoder.decoder(release) }
        }),
      Model(
        "santacoder-headless", zooName: "santacoder", csClass: "GPT2LMHeadModel (configured as SantaCoder)",
        caveat: DecoderParts.headlessCaveat, ladder: .gpt2.from(Release(2, 1)), offered: .steps(from: Release(2, 1)),
        bridges: SantaCoder.bridges(hfClass: "GPT2CustomModel") { release in
          SantaCoder.decoder(release)
          DecoderParts.addedHead()
        }),
    ])
}

enum SantaCoder {
  static func bridges(
    hfClass: String, @RulesBuilder tensors: @escaping @Sendable (Release) -> [Rule]
  ) -> [Bridge] {
    [
      Bridge(
        covers: Release(2, 1)...Release.current, hfClass: hfClass, modelTypes: ["gpt2"], folds: [.sidebandSparsity],
        muP: { .folded(.decoderMuP(positions: GPT2.positions(at: $0))) }, tensors: tensors, config: config)
    ]
  }

  /// The parts that the models with and without a head share.
  @RulesBuilder static func decoder(_ release: Release) -> [Rule] {
    GPT2.positions("wpe.weight", release)
    GPT2.body {
      // transformers' Conv1D stores its weight as [in, out], Linear as [out, in].
      Transpose("attn.q_attn.{leaf}", DecoderParts.heads[0], [.hidden, .hidden])
      Split(
        "attn.kv_attn.{leaf}", into: Array(DecoderParts.heads[1...]), Packing(rows: [.parts, .rest], transposed: true),
        [.hidden / .heads, .hidden])
      Transpose("attn.c_proj.{leaf}", "self_attn.proj_output_dense_layer.{leaf}", [.hidden, .hidden])
      GPT2.feedForward
      GPT2.buffers(beside: "attn.kv_attn.bias")
    }
  }

  @Sendable @ConfigRulesBuilder static func config(_ release: Release) -> [ConfigRule] {
    GPT2.config(release).except(
      "attention_module", "scale_attn_by_inverse_layer_idx", "scale_qk_dot_by_layer_idx")
    Key(flag: "scale_attn_by_inverse_layer_idx", "scale_qk_dot_by_layer_idx")
    // One group of keys and values
    Require(.hf, "attention_head_type", "multiquery")
    Implied(.cs, "attention_module", "multiquery_attention")
    Implied(.cs, "extra_attention_params", ["num_kv_groups": 1])
    // What each side is told explicitly
    Fill(.cs, "position_embedding_type", "learned")
    Fill(.cs, "use_projection_bias_in_attention", true)
    Fill(.cs, "use_ffn_bias_in_attention", true)
    Fill(.cs, "use_ffn_bias", true)
    Fill(.cs, "loss_scaling", "num_tokens")
    if release < Release(2, 4) {
      // Later releases refuse keys that they do not know.
      Fill(.cs, "softmax_dtype_fp32", false)
      Fill(.cs, "scale_by_layer_index", false)
    }
    Ignore(.cs, "loss_scaling", "softmax_dtype_fp32", "scale_by_layer_index")
    Fill(.hf, bookkeeping)
    Ignore(.hf, "scale_attn_weight")
  }

  /// Keys of the published model that the vendor's tool writes beside what is converted.
  private static let bookkeeping: KeyValuePairs<String, ConfigValue> = [
    "architectures": ["GPT2LMHeadCustomModel"], "attention_head_type": "multiquery",
    "scale_attn_by_inverse_layer_idx": false, "scale_attn_weight": true,
    "auto_map": [
      "AutoConfig": "configuration_gpt2_mq.GPT2CustomConfig",
      "AutoModelForCausalLM": "modeling_gpt2_mq.GPT2LMHeadCustomModel",
    ],
    "reorder_and_upcast_attn": false, "summary_activation": .null, "summary_first_dropout": 0.1,
    "summary_proj_to_labels": true, "summary_type": "cls_index", "summary_use_proj": true, "torch_dtype": "float32",
    "transformers_version": "4.24.0", "use_cache": true,
  ]
}
