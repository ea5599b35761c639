import OrderedCollections
import Testing

@testable import Core

/// Keys that configs of every model may hold.
@Suite struct HuggingFaceConfigTests {
  static let decoders = ["gpt2", "gpt2-headless", "gptj", "gptj-headless", "codegen", "gpt-neox", "gpt-neox-headless"]

  static func small(_ model: String) throws -> ConfigObject {
    let family = model.replacing("-headless", with: "")
    return try #require(SmallConfigs.config(of: model, family: family))
  }

  @Test(
    arguments: decoders,
    [
      RefusedKey("quantization_config", ["quant_method": "bitsandbytes"]), RefusedKey("add_cross_attention", true),
      RefusedKey("is_encoder_decoder", true), RefusedKey("pruned_heads", ["1": [0]]),
      RefusedKey("cross_attention_hidden_size", 8),
    ])
  func anotherModelIsRefused(_ model: String, _ refused: RefusedKey) throws {
    let config = try Self.small(model).merging([refused.key: refused.value]) { $1 }
    for release in ["cs-1.8", "cs-2.9", "cs-2.10"] {
      let error = conversionError {
        try Planner.plan(config: config, along: Catalogue.route(model: model, from: "hf", to: release))
      }
      #expect(error?.kind == .configNotConvertible, "\(release)")
      #expect(error?.message.contains(refused.key) ?? false, "\(error?.message ?? "")")
    }
  }

  @Test(arguments: decoders) func whatDescribesNothingSharesOneWarning(_ model: String) throws {
    let idle: ConfigObject = [
      "_name_or_path": "x", "bos_token_id": 1, "summary_type": "cls_index", "use_cache": true, "pruned_heads": [:],
      "add_cross_attention": false, "quantization_config": nil, "is_encoder_decoder": false, "n_ctx": 6,
    ]
    let config = try Self.small(model).merging(idle) { $1 }
    let plan = try Planner.plan(config: config, along: Catalogue.route(model: model, from: "hf", to: "cs-2.9"))
    let named = plan.warnings.filter { $0.message.contains("'bos_token_id'") }
    #expect(named.count == 1)
    for key in ["_name_or_path", "summary_type", "use_cache", "n_ctx"] {
      #expect(named.first?.message.contains("'\(key)'") ?? false, "\(key)")
    }
    #expect(plan.warnings.count == 1, "\(plan.warnings)")
  }

  @Test(arguments: ["gpt2", "gptj", "codegen"]) func rotaryScalingIsRefused(_ model: String) throws {
    let scaled: ConfigObject = ["rope_scaling": ["rope_type": "linear", "factor": 2.0]]
    let config = try Self.small(model).merging(scaled) { $1 }
    let error = conversionError {
      try Planner.plan(config: config, along: Catalogue.route(model: model, from: "hf", to: "cs-2.9"))
    }
    #expect(error?.message.contains("rope_scaling") ?? false)
  }
}
