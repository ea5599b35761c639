import OrderedCollections
import Testing

@testable import Core

@Suite struct PositionScalingTests {
  static let configs = ConfigConversion(
    model: "gpt-neox",
    csBase: [
      "use_ffn_bias": true, "use_untied_layer_norm": true, "embedding_dropout_rate": 0.0, "hidden_size": 24,
      "num_heads": 2, "rotary_dim": 4,
    ], release: "cs-2.9")

  @Test(arguments: [
    AcceptedKey([:], ["pos_scaling_factor": 1.0, "pos_scaling_type": nil, "pos_scaling_extra_args": nil]),
    AcceptedKey(["rope_scaling": nil], ["pos_scaling_factor": 1.0, "pos_scaling_type": nil]),
    AcceptedKey(["rope_scaling": ["rope_type": "default"]], ["pos_scaling_factor": 1.0, "pos_scaling_type": nil]),
    AcceptedKey(
      ["rope_scaling": ["type": "linear", "factor": 2.0]],
      ["pos_scaling_factor": 2.0, "pos_scaling_type": "linear", "pos_scaling_extra_args": nil]),
    AcceptedKey(["rope_scaling": ["rope_type": "Linear", "factor": 3]], ["pos_scaling_factor": 3]),
    AcceptedKey(
      ["rope_scaling": ["rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 7, "beta_fast": 16]],
      [
        "pos_scaling_type": "yarn",
        "pos_scaling_extra_args": ["original_max_position_embeddings": 7, "beta_fast": 16],
      ]),
    AcceptedKey(
      ["rope_scaling": ["rope_type": "yarn", "factor": 4.0], "max_position_embeddings": 9],
      ["pos_scaling_extra_args": ["original_max_position_embeddings": 9]]),
    AcceptedKey(
      ["rope_scaling": ["type": "longrope", "short_factor": [1.0], "long_factor": [2.0]]],
      [
        "pos_scaling_factor": 1.0, "pos_scaling_type": "longrope",
        "pos_scaling_extra_args": ["short_factor": [1.0], "long_factor": [2.0]],
      ]),
    AcceptedKey(
      ["rope_parameters": ["rope_type": "linear", "factor": 2.0, "rope_theta": 10000]],
      ["pos_scaling_factor": 2.0, "pos_scaling_extra_args": nil]),
  ])
  func convertsToModelZoo(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.cs(accepted.source), accepted)
  }

  @Test(
    arguments: [
      ["rope_type": "dynamic", "factor": 2.0], ["rope_type": "llama3", "factor": 2.0], ["factor": 2.0],
      ["rope_type": "linear"], ["rope_type": "linear", "factor": "two"],
      ["rope_type": "linear", "factor": 2.0, "x": 1],
      ["rope_type": "yarn", "factor": 2.0, "attention_factor": 0.5], 2.0,
    ] as [ConfigValue])
  func refusesFromHuggingFace(_ scaling: ConfigValue) {
    let error = conversionError { try Self.configs.cs(["rope_scaling": scaling]) }
    #expect(error?.kind == .configNotConvertible)
    #expect(error?.message.contains("rope_scaling") ?? false, "\(error?.message ?? "")")
  }

  @Test(arguments: [
    AcceptedKey([:], ["rope_scaling": .some(.null)]),
    AcceptedKey(["pos_scaling_factor": 1], ["rope_scaling": .some(.null)]),
    AcceptedKey(["pos_scaling_factor": 2.0], ["rope_scaling": ["type": "linear", "factor": 2.0]]),
    AcceptedKey(
      [
        "pos_scaling_factor": 4.0, "pos_scaling_type": "YaRN",
        "pos_scaling_extra_args": ["original_max_position_embeddings": 7],
      ], ["rope_scaling": ["type": "yarn", "factor": 4.0, "original_max_position_embeddings": 7]]),
    AcceptedKey(
      ["pos_scaling_factor": 1.0, "pos_scaling_type": "longrope", "pos_scaling_extra_args": ["short_factor": [1.0]]],
      ["rope_scaling": ["type": "longrope", "factor": 1.0, "short_factor": [1.0]]]),
  ])
  func convertsToHuggingFace(_ accepted: AcceptedKey) throws {
    Self.configs.check(try Self.configs.hf(accepted.source), accepted)
  }

  @Test(arguments: [
    RefusedKey("pos_scaling_type", "llama3"), RefusedKey("pos_scaling_type", 3),
    RefusedKey("pos_scaling_factor", "much"), RefusedKey("rope_theta", 500_000),
  ])
  func refusesFromModelZoo(_ refused: RefusedKey) {
    Self.configs.checkRefusal(of: refused.key) { try Self.configs.hf([refused.key: refused.value]) }
  }
}
