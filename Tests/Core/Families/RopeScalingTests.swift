import Foundation
import OrderedCollections
import Testing

@testable import Core

/// Rotary scaling, tried on Llama.
@Suite struct RopeScalingTests {
  static let configs = LlamaTests.configs

  static func modelZoo(_ changes: ConfigObject) throws -> ConfigObject {
    try configs.cs(LlamaTests.config.merging(changes) { _, new in new })
  }

  @Test(arguments: ["type", "rope_type"]) func readsBothSpellings(_ key: String) throws {
    let section = try Self.modelZoo(["rope_scaling": .object([key: "linear", "factor": 2.5])])
    #expect(section["pos_scaling_factor"] == 2.5)
    #expect(section["pos_scaling_type"] == "linear")
    #expect(section["pos_scaling_extra_args"] == nil)
  }

  @Test(
    arguments: [
      (["rope_type": "default"], [:]),
      (["rope_type": "yarn", "factor": 2.0], ["original_max_position_embeddings": 2048]),
      (
        [
          "rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 5, "beta_fast": 20, "truncate": false,
        ],
        ["original_max_position_embeddings": 5, "beta_fast": 20, "truncate": false]
      ),
      (
        ["rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 5, "attention_factor": 1.5],
        ["original_max_position_embeddings": 5, "mscale_a": 0.0, "mscale_b": 1.5]
      ),
      (
        [
          "rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 5, "mscale": 1.0,
          "mscale_all_dim": 1.0,
        ],
        ["original_max_position_embeddings": 5, "mscale_a": 0.0, "mscale_b": 1.0]
      ),
      (
        [
          "type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8,
        ], ["low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8]
      ),
      (
        ["type": "su", "short_factor": [1.0, 2.0], "long_factor": [3.0, 4.0], "original_max_position_embeddings": 8],
        ["short_factor": [1.0, 2.0], "long_factor": [3.0, 4.0], "original_max_position_embeddings": 8]
      ),
    ] as [(ConfigObject, ConfigObject)])
  func passesArgumentsToModelZoo(_ scaling: ConfigObject, extra: ConfigObject) throws {
    let section = try Self.modelZoo(["rope_scaling": .object(scaling)])
    let written = section["pos_scaling_extra_args"] ?? .object([:])
    #expect(written.isEqualInPython(.object(extra)), "\(written.pythonDescription)")
    #expect(section["pos_scaling_factor"] == scaling["factor"] ?? 1.0)
  }

  @Test(
    arguments: [
      (["rope_type": "dynamic", "factor": 2.0], "rope_scaling"), (["factor": 2.0], "rope_scaling"),
      (["rope_type": "mrope", "factor": 2.0], "rope_scaling"), (["rope_type": "linear"], "rope_scaling.factor"),
      (["rope_type": "linear", "factor": "2"], "rope_scaling.factor"),
      (["rope_type": "linear", "factor": 0], "rope_scaling.factor"),
      (["rope_type": "llama3", "factor": 2.0, "low_freq_factor": 1.0], "rope_scaling.high_freq_factor"),
      (["rope_type": "longrope", "short_factor": [1.0]], "rope_scaling.long_factor"),
      (["rope_type": "longrope", "short_factor": [], "long_factor": [1.0]], "rope_scaling.short_factor"),
      (
        ["rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 0],
        "rope_scaling.original_max_position_embeddings"
      ),
      (["rope_type": "yarn", "factor": 0.5, "attention_factor": 2.0], "rope_scaling.attention_factor"),
    ] as [(ConfigObject, String)])
  func refusesFromHuggingFace(_ scaling: ConfigObject, key: String) {
    Self.configs.checkRefusal(of: key) { try Self.modelZoo(["rope_scaling": .object(scaling)]) }
  }

  /// transformers computes the attention factor from `factor` where no other length is given; the Model Zoo from lengths.
  @Test func computesTheAttentionFactorOfLongRope() throws {
    let lists: ConfigObject = ["rope_type": "longrope", "short_factor": [1.0], "long_factor": [2.0], "factor": 4.0]
    let section = try Self.modelZoo(["rope_scaling": .object(lists), "max_position_embeddings": 64])
    let extra = section.section(at: "pos_scaling_extra_args")
    #expect(extra["attention_factor"] == .double((1 + log(4.0) / log(64.0)).squareRoot()))
    #expect(extra["original_max_position_embeddings"] == 64)
    let top = try Self.modelZoo([
      "rope_scaling": .object(lists), "max_position_embeddings": 64, "original_max_position_embeddings": 16,
    ])
    #expect(top.section(at: "pos_scaling_extra_args")["attention_factor"] == nil)
    #expect(top.section(at: "pos_scaling_extra_args")["original_max_position_embeddings"] == 16)
  }

  /// transformers 5 keeps base and scaling together.
  @Test func readsRopeParameters() throws {
    let plain = try Self.modelZoo(["rope_parameters": ["rope_type": "default", "rope_theta": 250000.0]])
    #expect(plain["rope_theta"] == 250000.0)
    #expect(plain["pos_scaling_factor"] == 1.0 && plain["pos_scaling_type"] == nil)
    let scaled = try Self.modelZoo([
      "rope_parameters": ["rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0]
    ])
    #expect(scaled["pos_scaling_factor"] == 2.0 && scaled["pos_scaling_type"] == "linear")
    Self.configs.checkRefusal(of: "rope_parameters") {
      try Self.modelZoo(["rope_parameters": ["full_attention": ["rope_type": "default"]]])
    }
  }

  @Test(
    arguments: [
      ([:], .null), (["pos_scaling_factor": 1.0, "pos_scaling_type": "yarn"], .null),
      (["pos_scaling_factor": 2.5], ["type": "linear", "factor": 2.5]),
      (["pos_scaling_factor": 2.5, "pos_scaling_type": "linear"], ["type": "linear", "factor": 2.5]),
      (
        [
          "pos_scaling_factor": 2.0, "pos_scaling_type": "YaRN",
          "pos_scaling_extra_args": ["original_max_position_embeddings": 5, "beta_slow": 2],
        ], ["type": "yarn", "factor": 2.0, "original_max_position_embeddings": 5, "beta_slow": 2]
      ),
      (
        [
          "pos_scaling_factor": 2.0, "pos_scaling_type": "yarn",
          "pos_scaling_extra_args": ["original_max_position_embeddings": 5, "mscale_a": 0.0, "mscale_b": 1.5],
        ], ["type": "yarn", "factor": 2.0, "original_max_position_embeddings": 5, "attention_factor": 1.5]
      ),
      (
        ["pos_scaling_factor": 8.0, "pos_scaling_type": "llama3", "pos_scaling_extra_args": ["low_freq_factor": 2.0]],
        [
          "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 2.0, "high_freq_factor": 4,
          "original_max_position_embeddings": 8192,
        ]
      ),
      (
        [
          "pos_scaling_factor": 1.0, "pos_scaling_type": "longrope",
          "pos_scaling_extra_args": [
            "short_factor": [1.0], "long_factor": [2.0], "original_max_position_embeddings": 3, "long_mscale": 1.25,
            "short_mscale": 1.125,
          ],
        ],
        [
          "type": "longrope", "factor": 1.0, "short_factor": [1.0], "long_factor": [2.0],
          "original_max_position_embeddings": 3, "attention_factor": 1.25,
        ]
      ),
    ] as [(ConfigObject, ConfigValue)])
  func convertsToHuggingFace(_ section: ConfigObject, scaling: ConfigValue) throws {
    let config = try Self.configs.hf(section)
    #expect(config["rope_scaling"]?.isEqualInPython(scaling) == true, "\(String(describing: config["rope_scaling"]))")
    if section["pos_scaling_type"] == "longrope" { #expect(config["original_max_position_embeddings"] == 3) }
  }

  @Test(
    arguments: [
      (["pos_scaling_factor": 0], "pos_scaling_factor"), (["pos_scaling_factor": "2"], "pos_scaling_factor"),
      (["pos_scaling_factor": 2.0, "pos_scaling_type": "dynamic"], "pos_scaling_type"),
      (
        [
          "pos_scaling_factor": 2.0, "pos_scaling_type": "yarn",
          "pos_scaling_extra_args": ["extrapolation_factor": 0.5, "original_max_position_embeddings": 5],
        ], "pos_scaling_extra_args.extrapolation_factor"
      ),
      (["pos_scaling_type": "longrope"], "pos_scaling_extra_args.short_factor"),
    ] as [(ConfigObject, String)])
  func refusesFromModelZoo(_ section: ConfigObject, key: String) {
    Self.configs.checkRefusal(of: key) { try Self.configs.hf(section) }
  }

  /// The two sides choose between the lists at different times, which the user should know.
  @Test func warnsOfLongRope() throws {
    let config = LlamaTests.config.merging([
      "rope_scaling": ["rope_type": "longrope", "short_factor": [1.0], "long_factor": [2.0]]
    ]) { _, new in new }
    let plan = try Planner.plan(
      config: config, along: Catalogue.route(model: "llama", from: "hf", to: "cs-2.9"))
    #expect(plan.warnings.contains { $0.subject == .config("rope_scaling") })
  }
}
