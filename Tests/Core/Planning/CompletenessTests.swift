import OrderedCollections
import Testing

@testable import Core

/// A config may describe a model that no memory holds. What is said of it, and how long that takes, stays bounded.
@Suite struct CompletenessTests {
  private static let layers = ConfigRule.largestDimension

  private func completeness(_ presence: DeclaredShape.Presence, layers: Int = Self.layers) -> Completeness {
    let rules = Scope("h.{layer}", "layers.{layer}", count: .cs("num_hidden_layers")) {
      Rename("norm.{leaf}", "norm1.{leaf}", [3], presence: presence)
    }.rules
    return Completeness(
      rules: rules, from: .hf,
      context: RuleContext(left: ["n_layer": .int(layers)], right: ["num_hidden_layers": .int(layers)]),
      config: Key(dimension: "n_layer", "num_hidden_layers").configRules)
  }

  @Test func namesAThousandMissingKeysAndSaysThatThereAreMore() throws {
    var findings: [Diagnostic] = []
    try completeness(.always).check([], in: StateDictPlanner.Entries(), &findings)
    #expect(findings.count == Completeness.mostMissing + 1)
    #expect(
      findings[0].message
        == "'h.0.norm.weight' is missing: the config describes a model with this tensor, of shape [3] (n_layer is "
        + "\(Self.layers))")
    #expect(findings.last?.message.hasPrefix("More keys like 'h.") == true)
  }

  /// What may be missing is not looked for in billions of layers.
  @Test(.timeLimit(.minutes(1))) func optionalKeysAreNotCounted() throws {
    var findings: [Diagnostic] = []
    try completeness(.optional).check([], in: StateDictPlanner.Entries(), &findings)
    #expect(findings.isEmpty)
    #expect(try completeness(.optional).expected().isEmpty)
  }

  @Test func refusesADescriptionThatNoMemoryHolds() throws {
    let error = #expect(throws: RuleFailure.self) { try completeness(.always).expected() }
    #expect(error?.message.contains("more than \(Completeness.mostExpected) tensors (n_layer is") == true)
    let keys = try completeness(.always, layers: 2).expected().map(\.key)
    #expect(keys == ["h.0.norm.weight", "h.0.norm.bias", "h.1.norm.weight", "h.1.norm.bias"])
  }

  // MARK: Between releases

  private static let params: ConfigObject = [
    "model": [
      "hidden_size": 16, "num_heads": 4, "num_hidden_layers": 2, "filter_size": 64, "vocab_size": 5,
      "max_position_embeddings": 6, "position_embedding_type": "learned", "share_embedding_weights": true,
      "nonlinearity": "gelu", "use_bias_in_output": false, "use_projection_bias_in_attention": true,
      "use_ffn_bias_in_attention": true, "use_ffn_bias": true, "layer_norm_epsilon": 1e-5, "dropout_rate": 0.1,
    ]
  ]

  private func checkpoint(_ change: (inout [(key: String, shape: [Int]?)]) -> Void) throws -> MemoryCheckpoint {
    let route = try Catalogue.route(model: "gpt2", from: "cs-2.1", to: "cs-2.9")
    let described = try Planner.described(by: Self.params, along: route)
    guard case .dictionary(let entries, _)? = described["model"] else { return MemoryCheckpoint([], model: true) }
    var shapes = entries.map { entry -> (key: String, shape: [Int]?) in
      if case .tensor(let tensor) = entry.value { (entry.key.description, tensor.shape) } else { ("", nil) }
    }
    change(&shapes)
    return MemoryCheckpoint(shapes, model: true)
  }

  /// Steps between releases carry what they find, so what the config describes and the file lacks is a warning.
  @Test func whatIsMissingBetweenReleasesIsSaid() throws {
    let whole = try planned("gpt2", from: "cs-2.1", to: "cs-2.9", config: Self.params, checkpoint { _ in })
    // The embedding is the head, and is described under the name of the head alone.
    #expect(whole.keys.count == 2 + 2 * 16 + 2 - 1)
    #expect(!whole.warnings.contains { $0.kind == .stateDictMismatch })

    let gone = "transformer_decoder.layers.1.norm1.bias"
    let plan = try planned(
      "gpt2", from: "cs-2.1", to: "cs-2.9", config: Self.params,
      checkpoint { shapes in
        shapes.removeAll { $0.key == gone }
        shapes[0].shape = [7, 16]
        shapes.append(("transformer_decoder.layers.2.norm1.bias", [16]))
      })
    let said = plan.warnings.filter { $0.kind == .stateDictMismatch }
    #expect(
      said.map(\.subject) == [
        .tensor("lm_head.weight"), .tensor("embedding_layer.word_embeddings.weight"),
        .tensor("transformer_decoder.layers.2.norm1.bias"),
        .tensor(gone),
      ])
    #expect(plan.keys == whole.keys.subtracting([gone]).union(["transformer_decoder.layers.2.norm1.bias"]))
  }
}
