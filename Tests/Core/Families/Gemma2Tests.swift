import OrderedCollections
import Testing

@testable import Core

@Suite struct Gemma2Tests {
  static let section = LlamaTests.section.merging([
    "nonlinearity": "geglu", "embeddings_scale": 4.0, "attention_inner_dim": 24, "rotary_dim": 6,
    "norm_first_sandwich": true, "sliding_window_every_other_decoder_layer": true, "dropout_rate": 0.0,
    "attention_sliding_window_length": 3, "num_hidden_layers": 3,
    "sliding_window_every_other_decoder_layer_pattern": "sliding_window_first",
  ]) { _, new in new }
  static let config: ConfigObject = [
    "model_type": "gemma2", "hidden_size": 16, "num_attention_heads": 4, "num_key_value_heads": 2,
    "num_hidden_layers": 3, "vocab_size": 5, "intermediate_size": 24, "head_dim": 6,
  ]
  static let configs = ConfigConversion(model: "gemma2", csBase: section, release: "cs-2.9")
  static let pattern = "sliding_window_every_other_decoder_layer_pattern"

  @Test(arguments: [
    AcceptedKey(
      ["query_pre_attn_scalar": 6],
      [
        "name": "gemma2", "attention_inner_dim": 24, "rotary_dim": 6, "embeddings_scale": 4.0,
        "attention_logits_alpha": nil, "attention_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
        "nonlinearity": "geglu", "norm_first_sandwich": true, "share_embedding_weights": true,
        "sliding_window_every_other_decoder_layer": true, pattern: "sliding_window_first",
        "attention_sliding_window_length": 4096, "norm_first": nil, "use_ffn_bias": false,
        "use_projection_bias_in_attention": false, "attention_dropout_rate": 0.0, "dropout_rate": 0.0,
        "attention_type": nil, "pos_scaling_factor": nil, "initializer_range": nil,
      ]),
    AcceptedKey(["query_pre_attn_scalar": 9], ["attention_logits_alpha": 0.816496580927726]),
    AcceptedKey(["hidden_size": 12], ["embeddings_scale": 3.4641016151377544]),
    AcceptedKey(["head_dim": 4], ["attention_inner_dim": 16, "rotary_dim": 4]),
    AcceptedKey(["hidden_activation": "gelu"], ["nonlinearity": "geglu"]),
    AcceptedKey(["hidden_activation": "relu"], ["nonlinearity": "reglu"]),
    AcceptedKey(
      ["attn_logit_softcapping": nil, "final_logit_softcapping": nil],
      ["attention_logit_softcapping": .some(.null), "final_logit_softcapping": .some(.null)]),
    AcceptedKey(
      ["attention_bias": true], ["use_projection_bias_in_attention": true, "use_ffn_bias_in_attention": true]),
    AcceptedKey(["attention_dropout": 0.5], ["attention_dropout_rate": 0.5]),
    AcceptedKey(
      ["layer_types": ["sliding_attention", "full_attention", "sliding_attention"]],
      [pattern: "sliding_window_first"]),
    AcceptedKey(
      ["layer_types": ["full_attention", "sliding_attention", "full_attention"]], [pattern: "full_attention_first"]),
    AcceptedKey(["rope_scaling": ["rope_type": "linear", "factor": 2.0]], ["pos_scaling_factor": 2.0]),
  ])
  func convertsToModelZoo(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.cs(Self.config.merging(accepted.source) { _, new in new }), accepted)
  }

  @Test(arguments: [
    RefusedKey("layer_types", ["full_attention", "full_attention", "full_attention"]),
    RefusedKey("layer_types", ["sliding_attention"]), RefusedKey("query_pre_attn_scalar", 0),
    RefusedKey("hidden_activation", "tanh"), RefusedKey("sliding_window", "long"), RefusedKey("head_dim", 3),
    RefusedKey("attn_logit_softcapping", "a lot"), RefusedKey("norm_first_sandwich", true),
  ])
  func refusesFromHuggingFace(_ refused: RefusedKey) {
    var config = Self.config
    config[refused.key] = refused.value
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.cs(config) }
  }

  @Test(arguments: [
    AcceptedKey(
      [:],
      [
        "head_dim": 6, "query_pre_attn_scalar": 6.0, "hidden_activation": "gelu", "attention_bias": false,
        "num_key_value_heads": 4, "sliding_window": 3, "layer_types": nil, "attention_dropout": 0.0,
        "architectures": ["Gemma2ForCausalLM"], "embeddings_scale": nil, "rope_scaling": nil,
      ]),
    AcceptedKey(["attention_logits_alpha": 0.816496580927726], ["query_pre_attn_scalar": 9.0]),
    AcceptedKey(["attention_inner_dim": nil, "rotary_dim": 4], ["head_dim": 4, "query_pre_attn_scalar": 4.0]),
    AcceptedKey(["embeddings_scale": 4.0000005], ["hidden_size": 16]),
    AcceptedKey(["attention_logit_softcapping": 20.0], ["attn_logit_softcapping": 20.0]),
    AcceptedKey(
      [pattern: "full_attention_first"],
      ["layer_types": ["full_attention", "sliding_attention", "full_attention"]]),
  ])
  func convertsToHuggingFace(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.hf(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("embeddings_scale", 4.1), RefusedKey("embeddings_scale", nil), RefusedKey("attention_logits_alpha", 0),
    RefusedKey("sliding_window_every_other_decoder_layer", false), RefusedKey("norm_first_sandwich", false),
    RefusedKey(pattern, "windows_last"), RefusedKey("use_ffn_bias", true), RefusedKey("dropout_rate", 0.1),
    RefusedKey("embedding_dropout_rate", 0.1), RefusedKey("rotary_dim", 4),
    RefusedKey("use_projection_bias_in_attention", true), RefusedKey("mup_base_hidden_size", 8),
  ])
  func refusesFromModelZoo(_ refused: RefusedKey) {
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.hf([refused.key: refused.value]) }
  }

  @Test func warnsOfWhatTheOtherSideComputesOtherwise() throws {
    let there = try Planner.plan(
      config: Self.config, along: Catalogue.route(model: "gemma2", from: "hf", to: "cs-2.9"))
    #expect(there.warnings.map(\.subject) == [.config("hidden_activation")])
    var section = Self.section
    section[Self.pattern] = nil
    let back = try Planner.plan(
      config: ["model": .object(section)], along: Catalogue.route(model: "gemma2", from: "cs-2.9", to: "hf"))
    #expect(back.warnings.map(\.subject) == [.config(Self.pattern)])
  }

  // MARK: Tensors

  @Test(arguments: [
    ("model.layers.0.input_layernorm", ["transformer_decoder.layers.0.norm1"]),
    ("model.layers.0.post_attention_layernorm", ["transformer_decoder.layers.0.norm1_post"]),
    ("model.layers.0.pre_feedforward_layernorm", ["transformer_decoder.layers.0.norm3"]),
    ("model.layers.0.post_feedforward_layernorm", ["transformer_decoder.layers.0.norm3_post"]),
    ("model.norm", ["transformer_decoder.norm", "ln_f"]),
  ])
  func countsNormsFromOne(_ hf: String, cs: [String]) throws {
    var options = Planner.Options()
    options.allowIncomplete = true
    let source = MemoryCheckpoint([("\(hf).weight", [16])], model: false)
    let plan = try planned("gemma2", from: "hf", to: "cs-2.9", config: Self.config, source, options: options)
    #expect(plan.keys == Set(cs.map { "\($0).weight" }))
    for key in cs {
      #expect(try plan.floats("\(key).weight", from: source) == source["\(hf).weight"].map { $0 + 1 })
    }
    let stored = MemoryCheckpoint(cs.map { ("\($0).weight", [16]) }, model: true)
    let back = try planned(
      "gemma2", from: "cs-2.9", to: "hf", config: ["model": .object(Self.section)], stored, options: options)
    #expect(try back.floats("\(hf).weight", from: stored) == stored["\(cs[0]).weight"].map { $0 - 1 })
  }
}
