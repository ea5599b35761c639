import OrderedCollections

/// Llama and Mistral, which the Model Zoo builds from its GPT-2 class. Hugging Face on the left, Model Zoo on the right.
///
/// Facts: Model Zoo Release 2.10.0 (`llama.py` and `mistral.py` of its checkpoint converters, `gpt2_model.py`) and
/// transformers' `modeling_llama.py` and `modeling_mistral.py`.
extension Family {
  static let llama = Family(
    "llama",
    [
      Model(
        "llama", aliases: Llama.aliases(), csClass: Llama.csClass("Llama"), ladder: .gpt2.from(Release(1, 9)),
        offered: .steps(from: Release(1, 9)),
        bridges: [
          Llama.bridge("LlamaForCausalLM", "llama", muP: .folded(.decoderMuP()), config: Llama.config) {
            Llama.causal { Llama.body }
          }
        ]),
      Model(
        "llama-headless", zooName: "llama", aliases: Llama.aliases("-headless"), csClass: Llama.csClass("Llama"),
        caveat: DecoderParts.headlessCaveat, ladder: .gpt2.from(Release(2, 1)), offered: .steps(from: Release(2, 1)),
        bridges: [Llama.bridge("LlamaModel", "llama", config: Llama.config) { Llama.headless { Llama.body } }]),
      Model(
        "mistral", csClass: Llama.csClass("Mistral"), ladder: .gpt2.from(Release(2, 1)),
        offered: .steps(from: Release(2, 1)),
        bridges: [
          Llama.bridge("MistralForCausalLM", "mistral", muP: .folded(.decoderMuP()), config: Llama.mistralConfig) {
            Llama.causal { Llama.body }
          }
        ]),
      Model(
        "mistral-headless", zooName: "mistral", csClass: Llama.csClass("Mistral"),
        caveat: DecoderParts.headlessCaveat, ladder: .gpt2.from(Release(2, 1)), offered: .steps(from: Release(2, 1)),
        bridges: [
          Llama.bridge("MistralModel", "mistral", config: Llama.mistralConfig) { Llama.headless { Llama.body } }
        ]),
    ])
}

enum Llama {
  static func csClass(_ name: String) -> String { "GPT2LMHeadModel (configured as \(name))" }

  /// Models with the same rules; all are called `llama` in params files.
  static func aliases(_ suffix: String = "") -> [Model.Alias] {
    ["llamaV2", "code-llama", "wizardlm"].map { Model.Alias($0 + suffix, zooName: "llama") }
  }

  static func bridge(
    _ hfClass: String, _ modelType: String, from oldest: Release = Release(2, 1), muP: MuPSupport = .refused,
    config: @escaping @Sendable (Release) -> [ConfigRule], @RulesBuilder tensors: () -> [Rule]
  ) -> Bridge {
    let tensors = tensors()
    return Bridge(
      covers: oldest...Release.current, hfClass: hfClass, modelTypes: [modelType], folds: [.sidebandSparsity],
      muP: { _ in muP }, tensors: { _ in tensors }, config: config)
  }

  // MARK: Tensors

  /// A body under `model` and a head, which is the embedding where the config ties both.
  @RulesBuilder static func causal(@RulesBuilder _ body: () -> [Rule]) -> [Rule] {
    Rename("lm_head.{leaf}", "lm_head.{leaf}", [.vocabulary, .hidden], bias: .optional)
    Scope("model", "", body)
    Tie(.hf, "lm_head.weight", to: "model.embed_tokens.weight", when: .flag(.hf, "tie_word_embeddings"))
  }

  /// A body alone; the Model Zoo gets a head.
  @RulesBuilder static func headless(@RulesBuilder _ body: () -> [Rule]) -> [Rule] {
    body()
    DecoderParts.addedHead()
  }

  /// Everything but the head.
  @RulesBuilder static var body: [Rule] {
    embeddings
    DecoderParts.finalNorm("norm.{leaf}")
    layers {
      norms
      attention()
      feedForward()
    }
  }

  @RulesBuilder static var embeddings: [Rule] {
    Rename("embed_tokens.weight", "embedding_layer.word_embeddings.weight", [.vocabulary, .hidden])
    DecoderParts.sharedEmbeddings()
  }

  @RulesBuilder static func layers(@RulesBuilder _ layer: () -> [Rule]) -> [Rule] {
    Scope("layers.{layer}", "transformer_decoder.layers.{layer}", count: .layers, layer)
  }

  @RulesBuilder static var norms: [Rule] {
    Rename("input_layernorm.{leaf}", "norm1.{leaf}", [.hidden], bias: .optional)
    Rename("post_attention_layernorm.{leaf}", "norm3.{leaf}", [.hidden], bias: .optional)
  }

  /// Attention with unpacked projections, grouped or not. `interleaved`: the HF class rotates halves of a head against each
  /// other and not neighbours.
  @RulesBuilder static func attention(interleaved: Bool = true) -> [Rule] {
    let bias = DeclaredShape.Presence.when(.flag(.cs, "use_projection_bias_in_attention", otherwise: true))
    let outputBias = DeclaredShape.Presence.when(.flag(.cs, "use_ffn_bias_in_attention", otherwise: true))
    Scope("self_attn", "self_attn") {
      if interleaved {
        Rotate("q_proj.{leaf}", "proj_q_dense_layer.{leaf}", pairs(.heads), [.attentionWidth, .hidden], bias: bias)
        Rotate("k_proj.{leaf}", "proj_k_dense_layer.{leaf}", pairs(.groups), [.keyWidth, .hidden], bias: bias)
        // One norm for all heads, over the rows of one.
        for norm in ["q_norm", "k_norm"] {
          Rotate(
            "\(norm).{leaf}", "\(norm).{leaf}", pairs(1), [.headSize], presence: .optional, bias: .optional)
        }
      } else {
        Rename("q_proj.{leaf}", "proj_q_dense_layer.{leaf}", [.attentionWidth, .hidden], bias: bias)
        Rename("k_proj.{leaf}", "proj_k_dense_layer.{leaf}", [.keyWidth, .hidden], bias: bias)
      }
      Rename("v_proj.{leaf}", "proj_v_dense_layer.{leaf}", [.keyWidth, .hidden], bias: bias)
      Rename("o_proj.{leaf}", "proj_output_dense_layer.{leaf}", [.hidden, .attentionWidth], bias: outputBias)
      Only(.hf, "rotary_emb.inv_freq", "the frequencies of the rotary embedding follow from the config")
    }
  }

  private static func pairs(_ heads: Dimension) -> RotaryPairs { RotaryPairs(heads: heads, rotary: .rotaryRows) }

  /// A gated feed-forward layer.
  @RulesBuilder static func feedForward() -> [Rule] {
    let bias = DeclaredShape.Presence.when(.flag(.cs, "use_ffn_bias", otherwise: true))
    Scope("mlp", "ffn.ffn") {
      Rename("gate_proj.{leaf}", "0.linear_layer_for_glu.{leaf}", [.inner, .hidden], bias: bias)
      Rename("up_proj.{leaf}", "0.linear_layer.{leaf}", [.inner, .hidden], bias: bias)
      Rename("down_proj.{leaf}", "1.linear_layer.{leaf}", [.hidden, .inner], bias: bias)
    }
  }

  // MARK: Config

  @Sendable @ConfigRulesBuilder static func config(_ release: Release) -> [ConfigRule] {
    common(release)
    DecoderConfig.groupedQueries()
    DecoderConfig.attentionBias("attention_bias")
    DecoderConfig.feedForwardBias("mlp_bias")
    RopeScaling.rules()
    DecoderConfig.refusedVariations()
    // What a left-out key means
    Assume(
      .hf,
      [
        "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
        "num_attention_heads": 32, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6,
      ])
  }

  @Sendable @ConfigRulesBuilder static func mistralConfig(_ release: Release) -> [ConfigRule] {
    common(release)
    slidingWindow(otherwise: 4096)
    DecoderConfig.groupedQueries(otherwise: 8, isWritten: true)
    DecoderConfig.attentionBias(nil)
    DecoderConfig.feedForwardBias(nil)
    RopeScaling.rules()
    DecoderConfig.refusedVariations(except: ["attention_sliding_window_length"])
    mistralSizes
    Assume(.hf, "rms_norm_eps", 1e-6)
  }

  /// What Llama, Mistral and Mixtral share.
  @ConfigRulesBuilder static func common(_ release: Release) -> [ConfigRule] {
    DecoderConfig.sizes()
    DecoderConfig.headSize()
    DecoderConfig.glu()
    DecoderConfig.requirements(release)
    DecoderConfig.noDropout
    Key(number: "initializer_range")
    Fill(.cs, "attention_type", "scaled_dot_product")
    Fill(.cs, "embedding_layer_norm", false)
    Fill(.cs, "use_bias_in_output", false)
    if release < Release(2, 4) {
      Fill(.cs, "use_ff_layer1_dropout", false)
    }
    RefuseKey(.hf, "partial_rotary_factor", unless: 1, .null, reason: "the HF class turns all rows of a head")
    Assume(.hf, "hidden_act", "silu")
    Assume(.hf, "initializer_range", 0.02)
    Assume(.hf, "tie_word_embeddings", false)
    DecoderConfig.bookkeeping
  }

  /// A window of the attention; `otherwise` is what the HF class takes for a left-out one.
  @ConfigRulesBuilder static func slidingWindow(otherwise: ConfigValue) -> [ConfigRule] {
    Key(integer: "sliding_window", "attention_sliding_window_length")
    Assume(.hf, "sliding_window", otherwise)
    Assume(.cs, "attention_sliding_window_length", .null)
  }

  /// The sizes that Mistral and Mixtral have in common where a config leaves them out.
  @ConfigRulesBuilder static var mistralSizes: [ConfigRule] {
    Assume(.hf, "vocab_size", 32000)
    Assume(.hf, "hidden_size", 4096)
    Assume(.hf, "intermediate_size", 14336)
    Assume(.hf, "num_hidden_layers", 32)
    Assume(.hf, "num_attention_heads", 32)
    Assume(.hf, "max_position_embeddings", 131072)
  }
}
