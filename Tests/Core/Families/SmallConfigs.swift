import OrderedCollections
import Testing

@testable import Core

/// A small consistent config for each family, in the first format of its models, and for models that begin with another:
/// what the laws are tried on.
enum SmallConfigs {
  /// Width of every model here. Divisible by the heads and by every packing.
  static let width = 16

  static func config(of model: String, family: String) -> ConfigObject? { byName[model] ?? byName[family] }

  /// What is changed in a small config so that other rules of the family apply.
  struct Variant: Sendable, CustomTestStringConvertible {
    /// The config that is changed.
    enum Place: String {
      case hf
      /// The params of the newest release, for what Hugging Face has one value for.
      case cs
      /// The same, for what Hugging Face has no value for: the releases alone convert it.
      case betweenReleases
    }

    /// Values by their path; null takes a key away.
    let changes: ConfigObject
    var place = Place.hf

    var testDescription: String { "\(place): \(ConfigValue.object(changes).pythonDescription)" }

    func applied(to config: ConfigObject) -> ConfigObject {
      changes.reduce(into: config) { config, change in
        if change.value == .null {
          config.removeValue(at: change.key)
        } else {
          config.setValue(change.value, at: change.key)
        }
      }
    }
  }

  /// With the small config, the variants of a family reach both outcomes of every condition of its rules.
  static func variants(of model: String, family: String) -> [Variant] { variants[model] ?? variants[family] ?? [] }

  private static let untied = Variant(changes: ["tie_word_embeddings": false])
  private static let tied = Variant(changes: ["tie_word_embeddings": true])
  private static let variants: [String: [Variant]] = [
    "btlm": [Variant(changes: ["activation_function": "gelu", "position_embedding_type": "learned"]), untied],
    "jais": [Variant(changes: ["activation_function": "swiglu", "position_embedding_type": "alibi"]), untied],
    "falcon": [Variant(changes: ["num_ln_in_parallel_attn": 1, "bias": false]), untied],
    "starcoder": [Variant(changes: ["multi_query": false]), untied],
    "esm-2": [Variant(changes: ["position_embedding_type": "absolute", "emb_layer_norm_before": true]), untied],
    "t5": [
      Variant(changes: ["feed_forward_proj": "gated-gelu"]), untied, tied,
      Variant(changes: ["model.extra_ids": 2], place: .cs),
      Variant(changes: ["model.share_encoder_decoder_embedding": false], place: .betweenReleases),
      Variant(changes: ["model.position_embedding_type": "learned_absolute"], place: .betweenReleases),
    ],
    "dragon": [
      Variant(
        changes: [
          "model.pooler_type": "ffn_pooler", "model.q_encoder.add_pooling_layer": true,
          "model.ctx_encoder.add_pooling_layer": true,
        ], place: .cs)
    ],
    "llava": [
      Variant(changes: ["text_model.mm_projector_type": "mlp8x_gelu"]),
      Variant(changes: ["text_model.mm_projector_type": "mlp1x_gelu"]),
      Variant(changes: [
        "text_model.tie_word_embeddings": true, "text_model.attention_bias": true, "text_model.mlp_bias": true,
      ]),
    ],
    "llama": [tied, Variant(changes: ["attention_bias": true, "mlp_bias": true])], "mistral": [tied], "mixtral": [tied],
    "gemma2": [untied],
    "gpt2": [untied], "santacoder": [untied], "bloom": [untied],
    "gptj": [tied, Variant(changes: ["model.use_bias_in_output": .null], place: .cs)],
    "codegen": [tied], "gpt-neox": [tied, Variant(changes: ["attention_bias": false])],
    "bert": [untied, Variant(changes: ["model.disable_nsp": true, "model.num_segments": 2], place: .cs)],
    "bert-sequence-classifier": [untied], "bert-token-classifier": [untied], "bert-qa": [untied],
    "bert-summarization": [untied],
    "roberta": [untied, Variant(changes: ["model.num_segments": 0], place: .cs)],
  ]

  /// Experts of the models that have some.
  static let experts = 3

  private static let mistral: ConfigObject = [
    "model_type": "mistral", "hidden_size": 16, "num_attention_heads": 4, "num_key_value_heads": 2,
    "num_hidden_layers": 2, "max_position_embeddings": 6, "vocab_size": 16, "intermediate_size": 32,
    "sliding_window": 4,
  ]

  private static let encoder: ConfigObject = [
    "model_type": "bert", "hidden_size": 16, "num_attention_heads": 4, "num_hidden_layers": 2,
    "max_position_embeddings": 6, "vocab_size": 5, "intermediate_size": 32,
  ]

  private static let byName: [String: ConfigObject] = [
    "dragon": ["q_encoder": .object(encoder), "ctx_encoder": .object(encoder)],
    "llava": [
      "image_model": [
        "model_type": "clip_vision_model", "hidden_size": 16, "num_attention_heads": 4, "num_hidden_layers": 2,
        "image_size": 8, "patch_size": 4, "intermediate_size": 32,
      ],
      "text_model": [
        "model_type": "llava", "hidden_size": 16, "num_attention_heads": 4, "num_key_value_heads": 2,
        "num_hidden_layers": 2, "max_position_embeddings": 6, "vocab_size": 16, "intermediate_size": 32,
        "tune_mm_mlp_adapter": true,
      ],
    ],
    "bert": [
      "hidden_size": 16, "num_attention_heads": 4, "num_hidden_layers": 2, "max_position_embeddings": 6,
      "vocab_size": 5, "intermediate_size": 32, "problem_type": "single_label_classification",
    ],
    "bert-summarization": [
      "model": [
        "vocab_size": 16, "hidden_size": 16, "num_heads": 4, "num_hidden_layers": 2, "filter_size": 32,
        "max_position_embeddings": 6, "num_segments": 2, "encoder_nonlinearity": "gelu",
      ]
    ],
    "bloom": ["hidden_size": 16, "n_head": 4, "n_layer": 2, "vocab_size": 16],
    "btlm": [
      "model_type": "btlm", "n_embd": 16, "n_head": 4, "n_layer": 2, "n_positions": 6, "vocab_size": 16,
      "embd_pdrop": 0.1,
      "attn_pdrop": 0.2, "resid_pdrop": 0.3, "activation_function": "swiglu", "scale_attn_weights": true,
      "position_embedding_type": "alibi", "mup_width_scale": 0.25, "mup_embeddings_scale": 14.5,
      "mup_output_alpha": 2.25, "mup_scale_qk_dot_by_d": true,
    ],
    "jais": [
      "model_type": "jais", "n_embd": 16, "n_head": 4, "n_layer": 2, "n_positions": 6, "vocab_size": 16,
      "embd_pdrop": 0.1,
      "attn_pdrop": 0.2, "resid_pdrop": 0.3, "activation_function": "gelu", "scale_attn_weights": true,
      "position_embedding_type": "learned",
    ],
    "codegen": [
      "n_embd": 16, "n_head": 4, "n_layer": 2, "n_positions": 6, "vocab_size": 16, "rotary_dim": 2,
      "tie_word_embeddings": false,
    ],
    "falcon": [
      "model_type": "falcon", "hidden_size": 16, "num_attention_heads": 4, "num_kv_heads": 2, "num_hidden_layers": 2,
      "max_position_embeddings": 6, "vocab_size": 16, "new_decoder_architecture": true, "bias": true,
    ],
    "gpt2": [
      "n_embd": 16, "n_head": 4, "n_layer": 2, "n_positions": 6, "vocab_size": 16, "embd_pdrop": 0.1, "attn_pdrop": 0.2,
      "resid_pdrop": 0.3, "activation_function": "gelu_new", "scale_attn_weights": true,
    ],
    "gptj": [
      "n_embd": 16, "n_head": 4, "n_layer": 2, "n_positions": 6, "vocab_size": 16, "rotary_dim": 2, "rotary": true,
      "tie_word_embeddings": false,
    ],
    "gpt-neox": [
      "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2, "max_position_embeddings": 6,
      "vocab_size": 16, "intermediate_size": 32, "rotary_pct": 0.5,
    ],
    "llama": [
      "model_type": "llama", "hidden_size": 16, "num_attention_heads": 4, "num_key_value_heads": 2,
      "num_hidden_layers": 2, "max_position_embeddings": 6, "vocab_size": 16, "intermediate_size": 32,
    ],
    "mistral": mistral, "mistral-headless": mistral,
    "mixtral": [
      "model_type": "mixtral", "hidden_size": 16, "num_attention_heads": 4, "num_key_value_heads": 2,
      "num_hidden_layers": 2, "max_position_embeddings": 6, "vocab_size": 16, "intermediate_size": 32,
      "num_local_experts": .int(experts),
    ],
    "gemma2": [
      "model_type": "gemma2", "hidden_size": 16, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4,
      "num_hidden_layers": 2, "max_position_embeddings": 6, "vocab_size": 16, "intermediate_size": 32,
      "query_pre_attn_scalar": 9, "sliding_window": 4, "hidden_activation": "gelu",
    ],
    "santacoder": [
      "n_embd": 16, "n_head": 4, "n_layer": 2, "n_positions": 6, "vocab_size": 16, "embd_pdrop": 0.1, "attn_pdrop": 0.2,
      "resid_pdrop": 0.3, "activation_function": "gelu_fast", "scale_attn_weights": true,
    ],
    "starcoder": ["n_embd": 16, "n_head": 4, "n_layer": 2, "n_positions": 6, "vocab_size": 16, "multi_query": true],
    "t5": ["d_model": 16, "d_kv": 4, "d_ff": 32, "num_heads": 4, "num_layers": 2, "vocab_size": 5],
    "roberta": [
      "model_type": "roberta", "hidden_size": 16, "num_attention_heads": 4, "num_hidden_layers": 2,
      "max_position_embeddings": 6, "vocab_size": 16, "intermediate_size": 32, "pad_token_id": 1, "type_vocab_size": 1,
    ],
    "esm-2": [
      "model_type": "esm", "hidden_size": 16, "num_attention_heads": 4, "num_hidden_layers": 2,
      "max_position_embeddings": 6, "vocab_size": 16, "intermediate_size": 32, "pad_token_id": 1,
      "position_embedding_type": "rotary",
    ],
    "clip-vit": [
      "model_type": "clip_vision_model", "hidden_size": 16, "num_attention_heads": 4, "num_hidden_layers": 2,
      "image_size": 8, "patch_size": 4, "intermediate_size": 32, "projection_dim": 7,
    ],
  ]
}
