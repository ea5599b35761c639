import OrderedCollections
import Testing

@testable import Core

@Suite struct MixtralTests {
  static let section = LlamaTests.section.merging(["moe": ["num_experts": 3, "top_k": 2]]) { _, new in new }
  static let config: ConfigObject = [
    "model_type": "mixtral", "hidden_size": 16, "num_attention_heads": 4, "num_key_value_heads": 2,
    "num_hidden_layers": 1, "vocab_size": 5, "intermediate_size": 24, "num_local_experts": 3,
  ]
  static let configs = ConfigConversion(model: "mixtral", csBase: section, release: "cs-2.9")

  @Test(arguments: [
    AcceptedKey(
      [:],
      [
        "moe": [
          "num_experts": 3, "top_k": 2, "load_balancing_loss_coef": 0.001, "moe_implementation": "optimized",
        ], "rope_theta": 1e6, "layer_norm_epsilon": 1e-5, "name": "mixtral",
        "attention_sliding_window_length": .some(.null), "norm_first": nil, "use_ff_layer1_dropout": nil,
      ]),
    AcceptedKey(["sliding_window": 4], ["attention_sliding_window_length": 4]),
    AcceptedKey(["rope_theta": 10000.0], ["rope_theta": 10000.0]),
  ])
  func convertsToModelZoo(_ accepted: AcceptedKey) throws {
    let section = try Self.configs.cs(Self.config.merging(accepted.source) { _, new in new })
    for (key, value) in accepted.target {
      #expect(value.map { section[key]?.isEqualInPython($0) ?? false } ?? (section[key] == nil), "\(key)")
    }
  }

  @Test func convertsToHuggingFace() throws {
    let config = try Self.configs.hf([:])
    #expect(config["num_local_experts"] == 3 && config["num_experts_per_tok"] == 2)
    #expect(config["router_aux_loss_coef"] == 0.0)
    #expect(config["num_key_value_heads"] == 4)
    // transformers would take another base.
    #expect(config["rope_theta"] == 10000.0)
    #expect(config["architectures"] == ["MixtralForCausalLM"] && config["model_type"] == "mixtral")
  }

  @Test(
    arguments: [
      ("num_shared_experts", 1), ("null_expert_bias", 0.5), ("router_use_bias", true), ("routing_algorithm", "hash"),
      ("router_selection_nonlinearity", "sigmoid"), ("expert_weighting_nonlinearity", "sigmoid"),
      ("expert_weighting_normalization", false), ("probability_before_ffn", true), ("moe_implementation", "functional"),
      ("num_experts", 0),
    ] as [(String, ConfigValue)])
  func refusesOtherMixtures(_ key: String, value: ConfigValue) {
    let moe: ConfigObject = ["num_experts": 3, "top_k": 2]
    Self.configs.checkRefusal(of: "moe.\(key)") {
      try Self.configs.hf(["moe": .object(moe.merging([key: value]) { _, new in new })])
    }
  }

  // MARK: Tensors

  static let moe = "model.layers.0.block_sparse_moe."
  static func shapes(experts: Int) -> [(key: String, shape: [Int]?)] {
    let dense = LlamaTests.shapes.filter { !$0.key.contains("mlp") && !$0.key.contains("bias") }.map { key, shape in
      let rows: [String: [Int]] = ["q_proj": [16, 16], "k_proj": [8, 16], "v_proj": [8, 16], "o_proj": [16, 16]]
      return (key, rows.first { key.contains($0.key) }?.value ?? shape)
    }
    let mixture = (0..<experts).flatMap { expert in
      [("w1", [24, 16]), ("w2", [16, 24]), ("w3", [24, 16])].map { ("\(moe)experts.\(expert).\($0).weight", $1) }
    }
    return dense + [(moe + "gate.weight", [3, 16])] + mixture
  }

  @Test(arguments: [
    ("w1", "0.linear_layer_for_glu", 24, 16), ("w2", "1.linear_layer", 16, 24), ("w3", "0.linear_layer", 24, 16),
  ])
  func stacksExperts(_ hf: String, cs: String, rows: Int, columns: Int) throws {
    let source = MemoryCheckpoint(Self.shapes(experts: 3), model: false)
    let plan = try planned("mixtral", from: "hf", to: "cs-2.9", config: Self.config, source)
    let key = "transformer_decoder.layers.0.ffn.experts.fused_ffns.\(cs).expert_weights"
    let experts = (0..<3).map { source.rows("\(Self.moe)experts.\($0).\(hf).weight", columns: columns) }
    #expect(plan.tensor(key)?.shape == [rows, 3, columns])
    #expect(try plan.floats(key, from: source) == (0..<rows).flatMap { row in experts.flatMap { $0[row] } })
    #expect(
      plan.tensor("transformer_decoder.layers.0.ffn.gate.weight")?.expression == .source(Self.moe + "gate.weight"))
  }

  @Test(arguments: [2, 4]) func namesMissingAndSpareExperts(_ count: Int) {
    let source = MemoryCheckpoint(Self.shapes(experts: count), model: false)
    let error = conversionError { try planned("mixtral", from: "hf", to: "cs-2.9", config: Self.config, source) }
    #expect(error?.message.contains("experts") == true)
  }
}
