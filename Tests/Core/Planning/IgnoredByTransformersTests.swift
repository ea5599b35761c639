import OrderedCollections
import Testing

@testable import Core

/// Leftovers of older releases of transformers.
@Suite struct IgnoredByTransformersTests {
  /// What is listed for a class of the catalogue is left out of the checkpoint of its models, with one warning.
  @Test(arguments: Catalogue.models.map(\.name)) func leftoversChangeNothing(_ name: String) throws {
    let model = try #require(Catalogue.model(named: name))
    guard let bridge = model.bridges.first else { return }
    let patterns = IgnoredByTransformers.patterns[bridge.hfClass] ?? []
    let keys = patterns.flatMap { [$0.example(number: 0), $0.example(number: 3)] }
    let route = try Catalogue.route(
      model: name, from: "hf", to: Format.cs(bridge.covers.lowerBound).description)
    #expect(IgnoredByTransformers.keys(among: keys, along: route) == Set(keys))
    #expect(IgnoredByTransformers.keys(among: ["transformer.other", "other"], along: route).isEmpty)
  }

  @Test func oneWarningNamesThem() throws {
    let route = try Catalogue.route(model: "gpt-neox", from: "hf", to: "cs-1.8")
    let keys = (0..<24).map { "gpt_neox.layers.\($0).attention.masked_bias" }
    let warning = try #require(IgnoredByTransformers.warning(keys, along: route))
    #expect(warning.message.contains("GPTNeoXForCausalLM"))
    #expect(warning.message.hasSuffix("gpt_neox.layers.{0..23}.attention.masked_bias"))
    #expect(IgnoredByTransformers.warning([], along: route) == nil)
    // The other way there is nothing of transformers to ignore.
    let back = try Catalogue.route(model: "gpt-neox", from: "cs-1.8", to: "hf")
    #expect(IgnoredByTransformers.keys(among: keys, along: back).isEmpty)
  }

  @Test func theCrossAttentionBiasOfT5IsLeftOut() throws {
    let route = try Catalogue.route(model: "t5", from: "hf", to: "cs-1.8")
    let key = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    #expect(IgnoredByTransformers.keys(among: [key, key.replacing("block.0", with: "block.1")], along: route) == [key])
  }

  @Test func configsOfOtherModelsAreRefused() throws {
    for (type, way) in [("gptj", "--model gptj"), ("qwen9", "no model"), ("", "no model")] {
      let route = try Catalogue.route(model: "gpt2", from: "hf", to: "cs-1.8")
      let error = try #require(
        conversionError { try ConfigIdentity.check(["model_type": .string(type)], along: route) })
      #expect(error.kind == .configNotConvertible)
      #expect(error.message.contains("'\(type)'"))
      #expect(error.message.contains("'gpt2'"))
      #expect(error.message.contains(way))
      #expect(error.diagnostics.first?.subject == .config("model_type"))
    }
    let route = try Catalogue.route(model: "gpt2", from: "hf", to: "cs-1.8")
    try ConfigIdentity.check(["model_type": "gpt2"], along: route)
    try ConfigIdentity.check([:], along: route)
    try ConfigIdentity.check(
      ["model_type": "gptj"], along: Catalogue.route(model: "gpt2", from: "cs-1.8", to: "hf"))
  }
}
