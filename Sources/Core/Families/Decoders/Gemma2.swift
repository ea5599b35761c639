import Foundation
import OrderedCollections

/// Gemma 2. Hugging Face on the left, Model Zoo on the right.
///
/// HF multiplies normalised values by one plus a weight, the Model Zoo by the weight; so norms gain one on the way there,
/// computed in their own type, and can come back off by a rounding.
///
/// Facts: Model Zoo Release 2.10.0 (`gemma2.py` of its checkpoint converters, `gpt2_model.py`) and transformers'
/// `modeling_gemma2.py`.
extension Family {
  static let gemma2 = Family(
    "gemma2",
    [
      Model(
        "gemma2", csClass: Llama.csClass("Gemma2"), ladder: .gpt2.from(Release(2, 3)),
        offered: .steps(from: Release(2, 3)),
        bridges: [
          Llama.bridge(
            "Gemma2ForCausalLM", "gemma2", from: Release(2, 3),
            muP: .refusedUnless(carried: ["embeddings_scale", "attention_logits_alpha"]), config: Gemma2.config
          ) { Llama.causal { Gemma2.body } }
        ])
    ])
}

enum Gemma2 {
  // MARK: Tensors

  @RulesBuilder static var body: [Rule] {
    Llama.embeddings
    norm("norm", mirrored: ["transformer_decoder.norm.weight", "ln_f.weight"])
    Llama.layers {
      Llama.attention()
      Llama.feedForward()
      norm("input_layernorm", mirrored: ["norm1.weight"])
      norm("post_attention_layernorm", mirrored: ["norm1_post.weight"])
      norm("pre_feedforward_layernorm", mirrored: ["norm3.weight"])
      norm("post_feedforward_layernorm", mirrored: ["norm3_post.weight"])
    }
  }

  /// A norm whose weight HF counts from one.
  @RulesBuilder static func norm(_ hf: String, mirrored cs: [KeyPattern]) -> [Rule] {
    Offset(KeyPattern("\(hf).weight"), mirrored: cs, by: 1, [.hidden])
  }

  // MARK: Config

  @Sendable @ConfigRulesBuilder static func config(_ release: Release) -> [ConfigRule] {
    // Before the rules that warn of what a left-out key means.
    assumptions
    DecoderConfig.sizes()
    DecoderConfig.headSize(isWritten: true)
    DecoderConfig.glu("hidden_activation", tanhGELU: true)
    DecoderConfig.groupedQueries(otherwise: 4, isWritten: true)
    DecoderConfig.attentionBias("attention_bias", isWritten: true)
    DecoderConfig.feedForwardBias(nil)
    DecoderConfig.requirements(release)
    RopeScaling.rules(isWritten: false)
    Key(number: "attn_logit_softcapping", "attention_logit_softcapping")
    Key(number: "final_logit_softcapping")
    scaledEmbeddings
    scaledQueries
    window
    Implied(.cs, "norm_first_sandwich", true)
    // Dropout
    Key(number: "attention_dropout", "attention_dropout_rate")
    Require(.cs, "embedding_dropout_rate", .null, 0.0)
    Implied(.cs, "dropout_rate", 0.0)
    Assume(.cs, "attention_dropout_rate", orNull: true) { (config) throws(ConfigFailure) in
      config["dropout_rate"] ?? 0.1
    }
    DecoderConfig.refusedVariations(except: [
      "attention_sliding_window_length", "sliding_window_every_other_decoder_layer", "attention_logit_softcapping",
      "final_logit_softcapping", "norm_first_sandwich",
    ])
    Ignore(.hf, "initializer_range", "hidden_act", "cache_implementation", "use_bidirectional_attention")
    Ignore(.cs, "initializer_range")
    DecoderConfig.bookkeeping
  }

  /// The embeddings are multiplied by the root of the width, which the Model Zoo is told and HF implies.
  @ConfigRulesBuilder private static var scaledEmbeddings: [ConfigRule] {
    Keys([], ["embeddings_scale"]) { (config) throws(ConfigFailure) in
      ["embeddings_scale": .double(pow(Double(try config.dimension("hidden_size")), 0.5))]
    } backward: { (config) throws(ConfigFailure) in
      let root = pow(Double(try config.dimension("hidden_size")), 0.5)
      let given = config.stated("embeddings_scale") ?? 1.0
      guard let scale = given.numberInPython?.double, abs(scale - root) <= 1e-6 + 2e-7 * root else {
        throw ConfigFailure(
          "embeddings_scale",
          "Can't convert config with embeddings_scale=\(given.pythonDescription): a HF model multiplies its embeddings by "
            + "the root of hidden_size, \(ConfigValue.double(root).pythonDescription).")
      }
      return [:]
    }
  }

  /// HF divides the logits of the attention by the root of a number of its own, the Model Zoo by the root of the head size
  /// and multiplies them by a factor.
  @ConfigRulesBuilder private static var scaledQueries: [ConfigRule] {
    Keys(["query_pre_attn_scalar"], ["attention_logits_alpha"]) { (config) throws(ConfigFailure) in
      let size = Double(try config.dimension("head_dim"))
      guard let scalar = try config.required("query_pre_attn_scalar").numberInPython?.double, scalar > 0 else {
        throw ConfigFailure("query_pre_attn_scalar", "'query_pre_attn_scalar' must be a number above 0.")
      }
      return size == scalar ? [:] : ["attention_logits_alpha": .double(pow(size / scalar, 0.5))]
    } backward: { (config) throws(ConfigFailure) in
      let (width, heads) = (try config.dimension("hidden_size"), try config.dimension("num_heads"))
      let isGiven = config["attention_inner_dim"] ?? .null != .null
      let size = Double(isGiven ? try config.dimension("attention_inner_dim") : width) / Double(heads)
      let given = config.stated("attention_logits_alpha") ?? 1.0
      guard let alpha = given.numberInPython?.double, alpha > 0 else {
        throw ConfigFailure("attention_logits_alpha", "'attention_logits_alpha' must be a number above 0.")
      }
      return ["query_pre_attn_scalar": .double(size / pow(alpha, 2))]
    }
  }

  /// Every other layer sees a window only. HF begins with one of these, as the list of its newer configs says; the Model
  /// Zoo begins with the other kind unless it is told.
  @ConfigRulesBuilder private static var window: [ConfigRule] {
    Key(integer: "sliding_window", "attention_sliding_window_length")
    Assume(.cs, "attention_sliding_window_length", .null)
    Assume(.cs, "sliding_window_every_other_decoder_layer", false)
    Implied(.cs, "sliding_window_every_other_decoder_layer", true)
    let pattern = "sliding_window_every_other_decoder_layer_pattern"
    Keys(["layer_types"], [pattern]) { (config) throws(ConfigFailure) in
      guard let given = config["layer_types"], given != .null else { return [pattern: "sliding_window_first"] }
      let count = try config.dimension("num_hidden_layers")
      guard case .array(let kinds) = given, kinds.count == count, count <= Limits.standard.configNodes else {
        throw ConfigFailure("layer_types", "'layer_types' must be a list with one of the \(count) layers each.")
      }
      if kinds == alternating(count, slidesFirst: true) { return [pattern: "sliding_window_first"] }
      if kinds == alternating(count, slidesFirst: false) { return [pattern: "full_attention_first"] }
      throw ConfigFailure(
        "layer_types",
        "'layer_types' must alternate between sliding_attention and full_attention; the Model Zoo knows no other order."
      )
    } backward: { (config) throws(ConfigFailure) in
      switch config[pattern] ?? .null {
      case .null, "sliding_window_first": return [:]
      case "full_attention_first":
        let count = try config.dimension("num_hidden_layers")
        guard count <= Limits.standard.configNodes else {
          throw ConfigFailure("num_hidden_layers", "'num_hidden_layers' is more than any model has.")
        }
        return ["layer_types": .array(alternating(count, slidesFirst: false))]
      case let other:
        throw .unsupported(pattern, other, supported: ["sliding_window_first", "full_attention_first"])
      }
    }
    Caution(.cs, pattern) { config in
      config[pattern] == nil
        ? "Without \(pattern), classes of the Model Zoo slide on layers 1, 3, ...; HF slides on layers 0, 2, ..., which is "
          + "what the config is taken to mean, as the vendor's tool does."
        : nil
    }
  }

  private static func alternating(_ count: Int, slidesFirst: Bool) -> [ConfigValue] {
    (0..<count).map { $0.isMultiple(of: 2) == slidesFirst ? "sliding_attention" : "full_attention" }
  }

  /// What a left-out key means.
  @ConfigRulesBuilder private static var assumptions: [ConfigRule] {
    Assume(
      .hf,
      [
        "vocab_size": 256000, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
        "num_attention_heads": 8, "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh",
        "max_position_embeddings": 8192, "rms_norm_eps": 1e-6, "tie_word_embeddings": true, "attention_dropout": 0.0,
        "query_pre_attn_scalar": 256, "sliding_window": 4096, "final_logit_softcapping": 30.0,
        "attn_logit_softcapping": 50.0,
      ])
  }
}
