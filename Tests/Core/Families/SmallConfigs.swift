import Core
import OrderedCollections

/// A small consistent config for each family, in the first format of its models, and for models that begin with another:
/// what the laws are tried on.
enum SmallConfigs {
  /// Width of every model here. Divisible by the heads and by every packing.
  static let width = 16

  static func config(of model: String, family: String) -> ConfigObject? { byName[model] ?? byName[family] }

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
