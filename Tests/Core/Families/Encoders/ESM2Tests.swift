import OrderedCollections
import Testing

@testable import Core

@Suite struct ESM2Tests {
  static let configs = ConfigConversion(model: "esm-2", csBase: csBase, release: "cs-2.9")
  static let csBase: ConfigObject = [
    "vocab_size": 5, "hidden_size": 8, "num_heads": 2, "num_hidden_layers": 1, "filter_size": 6,
    "max_position_embeddings": 7, "pad_token_id": 1, "position_embedding_type": "rotary", "rotary_dim": 4,
    "disable_nsp": true, "use_final_layer_norm": true, "embedding_layer_norm": false,
  ]

  // MARK: Config

  @Test(arguments: [
    AcceptedKey(
      ["position_embedding_type": "rotary", "hidden_size": 24, "num_attention_heads": 3],
      [
        "rotary_dim": 8, "max_position_embeddings": 1026, "mask_padding_in_positional_embed": nil, "name": "esm2",
        "use_final_layer_norm": true, "disable_nsp": true, "embedding_layer_norm": false, "token_dropout": false,
        "encoder_nonlinearity": "gelu", "freeze_ffn_bias_in_glu": false, "pooler_nonlinearity": nil,
      ]),
    AcceptedKey(
      ["pad_token_id": 1, "max_position_embeddings": 9],
      [
        "position_embedding_type": "learned", "max_position_embeddings": 7, "rotary_dim": nil,
        "mask_padding_in_positional_embed": true,
      ]),
    AcceptedKey(
      ["pad_token_id": 1, "token_dropout": true, "mask_token_id": 3, "emb_layer_norm_before": true],
      ["token_dropout": true, "mask_token_id": 3, "embedding_layer_norm": true]),
    AcceptedKey(["pad_token_id": 1, "hidden_act": "relu"], ["encoder_nonlinearity": "gelu"]),
  ])
  func convertsToModelZoo(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.cs(accepted.source), accepted)
  }

  @Test func refusesFromHuggingFace() {
    for (key, value) in [
      ("position_embedding_type", "relative_key"), ("is_folding_model", true), ("esmfold_config", ["a": 1]),
      ("model_type", "bert"), ("emb_layer_norm_before", "no"),
    ] as [(String, ConfigValue)] {
      Self.configs.checkRefusal(of: key) { try Self.configs.cs(["pad_token_id": 1, key: value]) }
    }
    Self.configs.checkRefusal(of: "pad_token_id") { try Self.configs.cs(["position_embedding_type": "absolute"]) }
    Self.configs.checkRefusal(of: "mask_token_id") { try Self.configs.cs(["pad_token_id": 1, "token_dropout": true]) }
  }

  @Test(arguments: [
    AcceptedKey(
      [:],
      [
        "position_embedding_type": "rotary", "max_position_embeddings": 7, "emb_layer_norm_before": false,
        "model_type": "esm", "hidden_act": nil, "is_folding_model": false, "esmfold_config": .some(.null),
      ]),
    AcceptedKey(
      ["position_embedding_type": "learned", "mask_padding_in_positional_embed": true],
      ["position_embedding_type": "absolute", "max_position_embeddings": 9]),
  ])
  func convertsToHuggingFace(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.hf(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("rotary_dim", 2), RefusedKey("rotary_dim", .null), RefusedKey("encoder_nonlinearity", "relu"),
    RefusedKey("mlm_nonlinearity", "relu"), RefusedKey("use_final_layer_norm", false), RefusedKey("disable_nsp", false),
    RefusedKey("num_segments", 2), RefusedKey("position_embedding_type", "fixed"), RefusedKey("rope_theta", 5),
    RefusedKey("attention_logits_alpha", 2),
  ])
  func refusesFromModelZoo(_ refused: RefusedKey) {
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.hf([refused.key: refused.value]) }
  }

  @Test func refusesPositionsThatCountThePadding() {
    Self.configs.checkRefusal(of: "mask_padding_in_positional_embed") {
      try Self.configs.hf(["position_embedding_type": "learned"])
    }
  }

  // MARK: Tensors

  static let query = "esm.encoder.layer.0.attention.self.query"
  static let csQuery = "bert_encoder.transformer_encoder.layers.0.self_attn.proj_q_dense_layer"

  /// Rows of each head in halves become rows in pairs, weights and biases alike.
  @Test func interleavesQueriesOfRotaryModels() throws {
    let source = MemoryCheckpoint(["\(Self.query).weight": [8, 8], "\(Self.query).bias": [8]], model: false)
    let config: ConfigObject = [
      "position_embedding_type": "rotary", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1,
    ]
    let plan = try plannedParts("esm-2", from: "hf", to: "cs-2.9", config: config, source)
    let bias = source["\(Self.query).bias"]
    #expect(try plan.floats("\(Self.csQuery).bias", from: source) == [0, 2, 1, 3, 4, 6, 5, 7].map { bias[$0] })
    let rows = source["\(Self.query).weight"]
    let expected = [0, 2, 1, 3, 4, 6, 5, 7].flatMap { rows[$0 * 8..<$0 * 8 + 8] }
    #expect(try plan.floats("\(Self.csQuery).weight", from: source) == expected)

    let back = MemoryCheckpoint(["\(Self.csQuery).bias": [8]], model: true)
    let restored = try plannedParts("esm-2", from: "cs-2.9", to: "hf", config: ["model": .object(Self.csBase)], back)
    let values = back["\(Self.csQuery).bias"]
    #expect(try restored.floats("\(Self.query).bias", from: back) == [0, 2, 1, 3, 4, 6, 5, 7].map { values[$0] })
  }

  @Test func keepsQueriesOfOtherModels() throws {
    let source = MemoryCheckpoint(
      ["\(Self.query).bias": [8], "esm.embeddings.position_embeddings.weight": [9, 8]], model: false)
    let config: ConfigObject = [
      "pad_token_id": 1, "hidden_size": 8, "num_attention_heads": 2, "max_position_embeddings": 9,
    ]
    let plan = try plannedParts("esm-2", from: "hf", to: "cs-2.9", config: config, source)
    #expect(try plan.floats("\(Self.csQuery).bias", from: source) == source["\(Self.query).bias"])
    #expect(plan.keys.contains("bert_encoder.embedding_layer.position_embeddings.embed.weight"))
  }

  @Test func leavesOutWhatTheModelZooLacks() throws {
    let source = MemoryCheckpoint(
      [
        "esm.contact_head.regression.weight": [1, 2], "esm.embeddings.position_embeddings.weight": [9, 8],
        "esm.encoder.layer.0.attention.self.rotary_embeddings.inv_freq": [2], "lm_head.bias": [5],
      ], model: false)
    let config: ConfigObject = [
      "position_embedding_type": "rotary", "hidden_size": 8, "num_attention_heads": 2, "vocab_size": 5,
    ]
    let plan = try plannedParts("esm-2", from: "hf", to: "cs-2.9", config: config, source)
    #expect(plan.keys == ["bert_mlm_head.classifier.ffn.0.linear_layer.bias"])
  }
}
