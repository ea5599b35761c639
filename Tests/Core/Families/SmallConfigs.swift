import Core
import OrderedCollections

/// Small consistent configs of each family: what the laws are tried on.
enum SmallConfigs {
  /// Width of every model here. Divisible by the heads and by every packing.
  static let width = 16

  /// The Hugging Face config of a family; nil when there is none yet.
  static func huggingFace(_ family: String) -> ConfigObject? { huggingFace[family] }

  /// The params file of a family in its oldest release; nil when there is none. Pairs of two releases start from it
  /// where it exists, because some models of Hugging Face have no counterpart in an old release.
  static func modelZoo(_ family: String) -> ConfigObject? { modelZoo[family].map { ["model": .object($0)] } }

  private static let huggingFace: [String: ConfigObject] = [
    "bert": [
      "hidden_size": 16, "num_attention_heads": 4, "num_hidden_layers": 2, "intermediate_size": 32,
      "max_position_embeddings": 6, "vocab_size": 5, "type_vocab_size": 2,
      "problem_type": "single_label_classification",
    ],
    "codegen": [
      "n_embd": 16, "n_head": 4, "n_layer": 2, "n_positions": 6, "vocab_size": 5, "rotary_dim": 2,
      "tie_word_embeddings": false,
    ],
    "gpt2": [
      "n_embd": 16, "n_head": 4, "n_layer": 2, "n_positions": 6, "vocab_size": 5, "embd_pdrop": 0.1, "attn_pdrop": 0.2,
      "resid_pdrop": 0.3, "activation_function": "gelu_new", "scale_attn_weights": true,
    ],
    "gptj": [
      "n_embd": 16, "n_head": 4, "n_layer": 2, "n_positions": 6, "vocab_size": 5, "rotary_dim": 2, "rotary": true,
      "tie_word_embeddings": false,
    ],
    "gpt-neox": [
      "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2, "max_position_embeddings": 6,
      "vocab_size": 5, "intermediate_size": 32, "rotary_pct": 0.5,
    ],
    "t5": [
      "d_model": 16, "d_kv": 4, "num_heads": 4, "num_layers": 2, "num_decoder_layers": 2, "d_ff": 32, "vocab_size": 5,
    ],
  ]

  private static let modelZoo: [String: ConfigObject] = [
    "bert": ["hidden_size": 16, "num_heads": 4, "num_hidden_layers": 2, "max_position_embeddings": 6, "vocab_size": 5],
    "t5": ["d_model": 16, "d_kv": 4, "num_heads": 4, "encoder_num_hidden_layers": 2, "src_vocab_size": 5],
  ]
}
