import OrderedCollections
import Testing

@testable import Core

/// GPT-J, CodeGen and GPT-NeoX in releases of 2.x: what differs from 1.8.
@Suite struct GPTJReleasesTests {
  static let neox = ConfigConversion(
    model: "gpt-neox",
    csBase: [
      "use_ffn_bias": true, "use_untied_layer_norm": true, "embedding_dropout_rate": 0.0, "hidden_size": 24,
      "num_heads": 2, "rotary_dim": 4,
    ], release: "cs-2.9")
  static let gptj = ConfigConversion(
    model: "gptj",
    csBase: ["use_ffn_bias": true, "use_ffn_bias_in_attention": false, "use_projection_bias_in_attention": false],
    release: "cs-2.9")

  @Test(arguments: [
    AcceptedKey(["attention_dropout": 0.2], ["attention_dropout_rate": 0.2]),
    AcceptedKey(["hidden_dropout": 0.3], ["residual_dropout_rate": 0.3]),
    AcceptedKey(["rope_scaling": nil], ["pos_scaling_factor": 1.0, "pos_scaling_type": nil]),
    AcceptedKey(
      ["rope_scaling": ["rope_type": "linear", "factor": 2.0]],
      ["pos_scaling_factor": 2.0, "pos_scaling_type": "linear"]),
    AcceptedKey(
      ["rope_parameters": ["rope_type": "linear", "factor": 2.0, "rope_theta": 10000]], ["pos_scaling_factor": 2.0]),
    AcceptedKey(["rope_theta": 10000, "partial_rotary_factor": 0.25], ["rope_theta": nil, "rotary_dim": 24]),
    AcceptedKey(["hidden_size": 16, "num_attention_heads": 2, "partial_rotary_factor": 0.5], ["rotary_dim": 4]),
    AcceptedKey(["attention_bias": true], ["attention_bias": nil, "name": "gpt-neox"]),
    AcceptedKey(["attention_bias": false], ["use_projection_bias_in_attention": false]),
  ])
  func neoXConvertsToModelZoo(_ accepted: AcceptedKey) throws {
    Self.neox.check(try Self.neox.cs(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("attention_bias", "none"), RefusedKey("rope_theta", 500000), RefusedKey("rotary_emb_base", 20000),
    RefusedKey("hidden_act", "gelu_10"), RefusedKey("use_parallel_residual", false), RefusedKey("rotary_pct", 0.01),
    RefusedKey("tie_word_embeddings", "yes"), RefusedKey("layer_norm_eps", "small"),
  ])
  func neoXRefusesFromHuggingFace(_ refused: RefusedKey) {
    Self.neox.checkRefusal(of: refused.key) { try Self.neox.cs([refused.key: refused.value]) }
  }

  /// A quarter of a head of 4 rows is one row, and rotary embeddings turn pairs.
  @Test(arguments: ["gpt-neox", "gpt-neox-headless"], ["cs-1.8", "cs-2.9"])
  func anOddRotaryDimensionIsRefused(_ model: String, _ release: String) {
    let configs = ConfigConversion(model: model, csBase: [:], release: release)
    configs.checkRefusal(of: "rotary_pct") {
      try configs.cs(["hidden_size": 16, "num_attention_heads": 4, "rotary_pct": 0.25])
    }
  }

  @Test(arguments: [
    AcceptedKey(["attention_dropout_rate": 0.2], ["attention_dropout": 0.2]),
    AcceptedKey(["residual_dropout_rate": 0.3], ["hidden_dropout": 0.3]),
    AcceptedKey(["pos_scaling_factor": 2.0], ["rope_scaling": ["type": "linear", "factor": 2.0]]),
    AcceptedKey(["norm_type": "layernorm", "name": "gpt-neox"], ["norm_type": nil, "name": nil]),
  ])
  func neoXConvertsToHuggingFace(_ accepted: AcceptedKey) throws {
    Self.neox.check(try Self.neox.hf(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("norm_type", "rmsnorm"), RefusedKey("rope_theta", 500000), RefusedKey("rotary_dim", 3),
    RefusedKey("attention_module", "multiquery_attention"), RefusedKey("attention_sliding_window_length", 128),
    RefusedKey("nonlinearity", "swiglu"), RefusedKey("embedding_dropout_rate", 0.1),
  ])
  func neoXRefusesFromModelZoo(_ refused: RefusedKey) {
    Self.neox.checkRefusal(of: refused.key) { try Self.neox.hf([refused.key: refused.value]) }
  }

  @Test(arguments: [
    AcceptedKey([:], ["use_untied_layer_norm": false, "name": "gptj", "mixed_precision": nil]),
    AcceptedKey(["activation_function": "gelu_pytorch_tanh"], ["nonlinearity": "gelu_new"]),
    AcceptedKey(["rotary_dim": 4], ["rotary_dim": 4]),
  ])
  func gptjConvertsToModelZoo(_ accepted: AcceptedKey) throws {
    Self.gptj.check(try Self.gptj.cs(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("norm_type", "biasless-layernorm"), RefusedKey("use_untied_layer_norm", true),
    RefusedKey("pos_scaling_factor", 2.0), RefusedKey("rope_theta", 20000), RefusedKey("nonlinearity", "squared_gelu"),
    RefusedKey("rotary_dim", "four"), RefusedKey("share_embedding_weights", "no"),
  ])
  func gptjRefusesFromModelZoo(_ refused: RefusedKey) {
    Self.gptj.checkRefusal(of: refused.key) { try Self.gptj.hf([refused.key: refused.value]) }
  }

  /// From 2.0 on the masks are left to transformers, which makes them when it loads a model.
  @Test(arguments: ["cs-2.0": 0, "cs-2.9": 0, "cs-1.8": 2])
  func masksAreWrittenFromOldReleasesOnly(_ release: String, _ count: Int) throws {
    let keys = ["q", "k", "v", "output"].map { "transformer_decoder.layers.0.self_attn.proj_\($0)_dense_layer.weight" }
    let source = MemoryCheckpoint(keys.map { ($0, [4, 4]) }, model: true)
    let plan = try plannedParts("gptj", from: release, to: "hf", config: GPTJTests.csConfig, source)
    #expect(plan.keys.count { $0.hasSuffix("attn.bias") || $0.hasSuffix("attn.masked_bias") } == count)
  }

  @Test func aTensorOfAnotherShapeIsNamed() throws {
    let key = "transformer.h.1.mlp.fc_in.weight"
    let source = MemoryCheckpoint([(key, [5, 4])], model: false)
    let error = conversionError {
      try planned("gptj", from: "hf", to: "cs-2.9", config: GPTJTests.hfConfig, source)
    }
    let found = error?.diagnostics.first { $0.subject == .tensor(key) }
    #expect(found?.message.contains("[5, 4]") ?? false)
    #expect(found?.message.contains("[16, 4]") ?? false)
    #expect(found?.message.contains("(n_inner, n_embd; n_layer is 2)") ?? false, "\(found?.message ?? "")")
    #expect(error?.diagnostics.contains { $0.subject == .tensor("transformer.h.0.mlp.fc_in.weight") } ?? false)
  }

  /// `norm_type` is written where the older release said something about it.
  @Test func aBiaslessNormIsRenamed() throws {
    #expect(
      try Self.gptj.upgraded(["use_biasless_norm": true], from: "cs-1.8", to: "cs-2.0")["norm_type"]
        == "biasless-layernorm")
    #expect(try Self.gptj.upgraded([:], from: "cs-1.8", to: "cs-2.0")["norm_type"] == nil)
    #expect(
      try Self.gptj.upgraded(["norm_type": "layernorm"], from: "cs-2.0", to: "cs-1.8")["use_biasless_norm"] == false)
  }
}
