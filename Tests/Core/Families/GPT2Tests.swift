import OrderedCollections
import Testing

@testable import Core

@Suite struct GPT2Tests {
  static let configs = ConfigConversion(model: "gpt2", csBase: ["dropout_rate": 0.1])

  @Test(arguments: [
    AcceptedKey(
      ["n_embd": 8],
      ["hidden_size": 8, "filter_size": 32, "share_embedding_weights": true, "mixed_precision": true]),
    AcceptedKey(["n_embd": 8, "n_inner": nil], ["filter_size": 32]),
    AcceptedKey(["n_embd": 8, "n_inner": 12], ["filter_size": 12]),
    AcceptedKey(
      ["n_embd": 8, "n_head": 2, "n_layer": 3, "n_positions": 11, "vocab_size": 19],
      ["num_heads": 2, "num_hidden_layers": 3, "max_position_embeddings": 11, "vocab_size": 19]),
    AcceptedKey(
      ["n_embd": 8, "embd_pdrop": 0.1, "attn_pdrop": 0.2, "resid_pdrop": 0],
      ["embedding_dropout_rate": 0.1, "attention_dropout_rate": 0.2, "dropout_rate": 0]),
    AcceptedKey(["n_embd": 8, "activation_function": "gelu_new"], ["nonlinearity": "gelu_new"]),
    AcceptedKey(["n_embd": 8, "scale_attn_weights": true], ["attention_type": "scaled_dot_product"]),
    AcceptedKey(["n_embd": 8, "scale_attn_weights": false], ["attention_type": "dot_product"]),
    AcceptedKey(["n_embd": 8, "tie_word_embeddings": false], ["share_embedding_weights": false]),
    AcceptedKey(
      ["n_embd": 8, "layer_norm_epsilon": 1e-6, "initializer_range": 0.01, "rotary_dim": 2],
      ["layer_norm_epsilon": 1e-6, "initializer_range": 0.01, "rotary_dim": 2]),
    AcceptedKey(
      ["n_embd": 8, "scale_attn_by_inverse_layer_idx": false, "reorder_and_upcast_attn": false],
      ["scale_attn_by_inverse_layer_idx": nil, "reorder_and_upcast_attn": nil]),
  ])
  func convertsToModelZoo(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.cs(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("scale_attn_by_inverse_layer_idx", true), RefusedKey("reorder_and_upcast_attn", true),
    RefusedKey("n_embd", 0), RefusedKey("n_embd", "8"), RefusedKey("position_embedding_type", "learned"),
    RefusedKey("use_bias_in_output", false), RefusedKey("use_projection_bias_in_attention", true),
  ])
  func refusesFromHuggingFace(_ refused: RefusedKey) {
    var config: ConfigObject = ["n_embd": 8]
    config[refused.key] = refused.value
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.cs(config) }
  }

  @Test func needsAWidthForTheInnerLayer() {
    Self.configs.checkRefusal(of: "n_embd") { try Self.configs.cs([:]) }
  }

  @Test(arguments: [
    AcceptedKey(
      [:],
      [
        "embd_pdrop": 0.1, "attn_pdrop": 0.1, "resid_pdrop": 0.1, "tie_word_embeddings": true,
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2",
      ]),
    AcceptedKey(["embedding_dropout_rate": 0.5, "attention_dropout_rate": 0], ["embd_pdrop": 0.5, "attn_pdrop": 0]),
    AcceptedKey(["attention_type": "dot_product"], ["scale_attn_weights": false]),
    AcceptedKey(["attention_type": "scaled_dot_product"], ["scale_attn_weights": true]),
    AcceptedKey(["hidden_size": 8, "filter_size": 12, "num_heads": 2], ["n_embd": 8, "n_inner": 12, "n_head": 2]),
    AcceptedKey(["position_embedding_type": "learned", "norm_first": 1], ["position_embedding_type": nil]),
  ])
  func convertsToHuggingFace(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.hf(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("attention_type", "cosine"), RefusedKey("position_embedding_type", "fixed"),
    RefusedKey("use_position_embedding", false), RefusedKey("embedding_layer_norm", true),
    RefusedKey("use_projection_bias_in_attention", false), RefusedKey("use_ffn_bias_in_attention", false),
    RefusedKey("use_ffn_bias", false), RefusedKey("use_bias_in_output", true), RefusedKey("norm_first", false),
    RefusedKey("fixed_sparse_attention", ["n_heads": 2]), RefusedKey("use_ff_layer1_dropout", true),
    RefusedKey("reorder_and_upcast_attn", false), RefusedKey("hidden_size", -8),
  ])
  func refusesFromModelZoo(_ refused: RefusedKey) {
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.hf([refused.key: refused.value]) }
  }

  @Test func needsADropoutToFallBackOn() {
    let configs = ConfigConversion(model: "gpt2", csBase: [:])
    configs.checkRefusal(of: "dropout_rate") { try configs.hf([:]) }
  }

  // MARK: Tensors

  static let hfConfig: ConfigObject = ["n_embd": 4, "n_head": 2, "n_layer": 1, "n_positions": 3, "vocab_size": 5]
  static let csConfig: ConfigObject = [
    "model": [
      "hidden_size": 4, "num_heads": 2, "num_hidden_layers": 1, "max_position_embeddings": 3, "vocab_size": 5,
      "dropout_rate": 0.0,
    ]
  ]
  static let packed = "transformer.h.0.attn.c_attn."
  static func part(_ name: String) -> String { "transformer_decoder.layers.0.self_attn.proj_\(name)_dense_layer." }

  /// Conv1D keeps q, k and v side by side in its columns.
  @Test(arguments: [("q", 0), ("k", 1), ("v", 2)]) func unpacksColumns(_ name: String, position: Int) throws {
    let source = MemoryCheckpoint([(Self.packed + "weight", [4, 12]), (Self.packed + "bias", [12])], model: false)
    let plan = try plannedParts("gpt2", from: "hf", to: "cs-1.8", config: Self.hfConfig, source)
    let rows = source.rows(Self.packed + "weight", columns: 12)
    let columns = position * 4..<position * 4 + 4
    let expected = columns.flatMap { column in rows.map { $0[column] } }
    #expect(try plan.floats(Self.part(name) + "weight", from: source) == expected)
    #expect(try plan.floats(Self.part(name) + "bias", from: source) == Array(source[Self.packed + "bias"][columns]))
  }

  @Test func packsColumns() throws {
    let names = ["q", "k", "v"].flatMap { [Self.part($0) + "weight", Self.part($0) + "bias"] }
    let source = MemoryCheckpoint(names.map { ($0, $0.hasSuffix("weight") ? [4, 4] : [4]) }, model: true)
    let plan = try plannedParts("gpt2", from: "cs-1.7", to: "hf", config: Self.csConfig, source)
    let parts = ["q", "k", "v"].map { source.rows(Self.part($0) + "weight", columns: 4) }
    var expected: [Float] = []
    for column in 0..<4 {
      for part in parts { expected += part.map { $0[column] } }
    }
    #expect(try plan.floats(Self.packed + "weight", from: source) == expected)
    #expect(plan.tensor(Self.packed + "weight")?.shape == [4, 12])
    #expect(plan.tensor("transformer.h.0.attn.bias")?.expression == .generate(.causalMask(size: 3)))
    #expect(try plan.floats("transformer.h.0.attn.masked_bias", from: source) == [-1e4])
  }

  @Test(arguments: [
    ("attn.c_proj", "self_attn.proj_output_dense_layer"), ("mlp.c_fc", "ffn.ffn.0.linear_layer"),
    ("mlp.c_proj", "ffn.ffn.1.linear_layer"),
  ])
  func transposesMatrices(_ hf: String, cs: String) throws {
    let source = MemoryCheckpoint(
      [("transformer.h.0.\(hf).weight", [2, 3]), ("transformer.h.0.\(hf).bias", [3])], model: false)
    let plan = try plannedParts("gpt2", from: "hf", to: "cs-1.7", config: Self.hfConfig, source)
    #expect(
      try plan.floats("transformer_decoder.layers.0.\(cs).weight", from: source) == [0, 3, 1, 4, 2, 5])
    #expect(plan.tensor("transformer_decoder.layers.0.\(cs).weight")?.shape == [3, 2])
    #expect(
      plan.tensor("transformer_decoder.layers.0.\(cs).bias")?.expression == .source("transformer.h.0.\(hf).bias"))
  }

  @Test func takesWrappersOff() throws {
    let source = MemoryCheckpoint(["transformer.wte.weight": [5, 4], "lm_head.weight": [5, 4]], model: true)
    let plan = try plannedParts("gpt2", from: "hf", to: "cs-1.8", config: Self.hfConfig, source)
    #expect(plan.keys == ["embedding_layer.word_embeddings.weight", "lm_head.weight"])
  }

  /// Files that keep a shared tensor once leave the head out.
  @Test func fillsSharedHead() throws {
    let source = MemoryCheckpoint(["transformer.wte.weight": [5, 4]], model: false)
    let plan = try plannedParts("gpt2", from: "hf", to: "cs-1.8", config: Self.hfConfig, source)
    #expect(plan.tensor("lm_head.weight")?.expression == .source("transformer.wte.weight"))
  }

  /// Whether Model Zoo files have `model.` in front of each key depends on the base class that the model was trained with.
  @Test(arguments: ["cs-1.7", "cs-1.8", "cs-2.9"]) func takesThePrefixOff(_ release: String) throws {
    let source = MemoryCheckpoint(["model.lm_head.weight": [5, 4]], model: true)
    let plan = try plannedParts("gpt2", from: release, to: "hf", config: Self.csConfig, source)
    #expect(try plan.floats("lm_head.weight", from: source) == source["model.lm_head.weight"])
  }

  @Test func refusesCrossAttention() {
    let key = "transformer.h.0.attn.q_attn.weight"
    let source = MemoryCheckpoint([(key, [4, 4])], model: false)
    let error = conversionError { try plannedParts("gpt2", from: "hf", to: "cs-1.8", config: Self.hfConfig, source) }
    #expect(error?.kind == .configNotConvertible)
    #expect(error?.diagnostics.map(\.subject).contains(.tensor(key)) == true)
  }
}
