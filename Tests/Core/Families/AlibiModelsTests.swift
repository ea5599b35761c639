import OrderedCollections
import Testing

@testable import Core

/// BLOOM, BTLM and Jais.
@Suite struct AlibiModelsTests {
  static let bloom = ConfigConversion(
    model: "bloom", csBase: ["hidden_size": 8, "num_heads": 2, "embedding_layer_norm": true, "dropout_rate": 0.0],
    release: "cs-2.9")
  static let btlm = ConfigConversion(model: "btlm", csBase: ["dropout_rate": 0.0], release: "cs-2.9")

  @Test func slopesOfAnyNumberOfHeads() throws {
    #expect(try Alibi.slopes(heads: 1) == [0.00390625])
    #expect(try Alibi.slopes(heads: 4) == [0.25, 0.0625, 0.015625, 0.00390625])
    #expect(try Alibi.slopes(heads: 3) == [0.0625, 0.00390625, 0.25])
    #expect(try Alibi.slopes(heads: 6) == [0.25, 0.0625, 0.015625, 0.00390625, 0.5, 0.125])
    #expect(try Alibi.slopes(heads: 16)[0] == Float(0.70710678118654757))
    #expect(try Alibi.slopes(heads: Alibi.mostHeads).count == Alibi.mostHeads)
  }

  /// A config may name more heads than memory has room for slopes of.
  @Test(.timeLimit(.minutes(1))) func refusesHeadsThatNoModelHas() throws {
    let heads = ConfigValue.int(ConfigRule.largestDimension / 4)
    let config: ConfigObject = [
      "model_type": "bloom", "hidden_size": heads, "n_head": heads, "n_layer": 1, "vocab_size": 16,
    ]
    let source = MemoryCheckpoint([("word_embeddings.weight", [16, 4])], model: false)
    let error = conversionError {
      try plannedParts("bloom-headless", from: "hf", to: "cs-2.9", config: config, source)
    }
    #expect(error?.diagnostics.contains { $0.message.contains("slopes are made for 1 to 65536") } == true)
  }

  @Test(arguments: [
    AcceptedKey(
      ["hidden_size": 8, "n_head": 2],
      [
        "filter_size": 32, "nonlinearity": "gelu_new", "embedding_layer_norm": true, "position_embedding_type": "alibi",
        "vocab_size": 250880, "num_hidden_layers": 2, "name": "bloom", "use_ffn_bias": true,
      ]),
    AcceptedKey(["n_embed": 12, "n_head": 2], ["hidden_size": 12, "filter_size": 48]),
    AcceptedKey(["tie_word_embeddings": false], ["share_embedding_weights": false, "hidden_size": 64]),
  ])
  func convertsBloomToModelZoo(_ accepted: AcceptedKey) throws {
    let source = accepted.source.merging(["model_type": "bloom"]) { _, new in new }
    Self.bloom.check(try Self.bloom.cs(source), accepted)
  }

  @Test(arguments: [
    RefusedKey("embedding_layer_norm", false), RefusedKey("filter_size", 16), RefusedKey("nonlinearity", "relu"),
    RefusedKey("position_embedding_type", "learned"), RefusedKey("attention_inner_dim", 4),
    RefusedKey("pos_scaling_factor", 2.0), RefusedKey("embedding_dropout_rate", 0.1),
  ])
  func refusesBloomFromModelZoo(_ refused: RefusedKey) {
    Self.bloom.checkRefusal(of: refused.key) { try Self.bloom.hf([refused.key: refused.value]) }
  }

  /// Left out, the rate of the embeddings is the general one.
  @Test func refusesBloomThatDropsOutOfItsEmbeddings() throws {
    Self.bloom.checkRefusal(of: "embedding_dropout_rate") { try Self.bloom.hf(["dropout_rate": 0.2]) }
    let converted = try Self.bloom.hf(["dropout_rate": 0.2, "embedding_dropout_rate": 0.0])
    #expect(converted["hidden_dropout"] == 0.2)
  }

  @Test func refusesBloomWithTheResidualBehindTheNorm() {
    Self.bloom.checkRefusal(of: "apply_residual_connection_post_layernorm") {
      try Self.bloom.cs(["model_type": "bloom", "apply_residual_connection_post_layernorm": true])
    }
  }

  @Test(arguments: ["btlm", "jais"]) func keepsTheWidthScaleInTheOptimizer(_ model: String) throws {
    let source: ConfigObject = [
      "model_type": .string(model), "n_embd": 8, "mup_width_scale": 0.25, "mup_output_alpha": 2.25,
      "mup_embeddings_scale": 14.5, "mup_scale_qk_dot_by_d": true, "activation_function": "swiglu",
      "alibi_scaling": ["type": "linear", "factor": 4.0], "position_embedding_type": "alibi", "embd_pdrop": 0.0,
      "attn_pdrop": 0.0, "resid_pdrop": 0.0,
    ]
    let there = try Planner.plan(config: source, along: Catalogue.route(model: model, from: "hf", to: "cs-2.9")).config
    #expect(there[at: "optimizer.adjust_learning_rate.decoder_kernel"] == 0.25)
    #expect(there[at: "model.output_logits_scale"] == 0.5625)
    #expect(there[at: "model.pos_scaling_factor"] == 4.0)
    #expect(there[at: "model.decoder_kernel"] == nil)
    #expect(there[at: "model.name"] == .string(model))
    let route = try Catalogue.route(model: model, from: "cs-2.9", to: "hf")
    let back = try Planner.plan(config: there, along: route).config
    for (key, value) in source { #expect(back[key] == value, "\(key)") }
    // The trainer layout names the optimizer.
    let trainer: ConfigObject = [
      "trainer": [
        "init": [
          "model": there["model"] ?? .null,
          "optimizer": ["AdamW": ["adjust_learning_rate": ["decoder_kernel": 0.25]]],
        ]
      ]
    ]
    #expect(try Planner.plan(config: trainer, along: route).config["mup_width_scale"] == 0.25)
    let none = try Planner.plan(config: ["model": there["model"] ?? .null], along: route).config
    #expect(none["mup_width_scale"] == 1.0)
    #expect(none["mup_output_alpha"] == 0.5625)
  }

  @Test(arguments: [
    RefusedKey("position_embedding_type", "rotary"), RefusedKey("nonlinearity", "geglu"),
    RefusedKey("pos_scaling_type", "yarn"), RefusedKey("mup_base_hidden_size", 8), RefusedKey("norm_type", "rmsnorm"),
  ])
  func refusesFromModelZoo(_ refused: RefusedKey) {
    Self.btlm.checkRefusal(of: refused.key) { try Self.btlm.hf([refused.key: refused.value]) }
  }

  @Test func refusesSlopesThatFollowTheLength() {
    let config: ConfigObject = [
      "model_type": "btlm", "n_embd": 8, "alibi_scaling": ["type": "linear", "train_seq_len": 5],
    ]
    Self.btlm.checkRefusal(of: "alibi_scaling.train_seq_len") { try Self.btlm.cs(config) }
  }

  @Test func takesOverRulesButForSomeKeys() {
    @ConfigRulesBuilder var rules: [ConfigRule] {
      Key(dimension: "n_embd", "hidden_size")
      Assume(.hf, "n_embd", 4)
      Fill(.cs, "name", "other")
      Ignore(.cs, "kept")
    }
    #expect(rules.except("n_embd").count == 2)
    #expect(rules.except("hidden_size").count == 3)
    #expect(rules.except("name", "kept").count == 2)
    #expect(rules.except("unknown").count == 4)
  }
}
