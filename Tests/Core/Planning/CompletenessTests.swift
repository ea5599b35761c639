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
    try completeness(.always).check([], in: [:], &findings)
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
    try completeness(.optional).check([], in: [:], &findings)
    #expect(findings.isEmpty)
    #expect(try completeness(.optional).expected().isEmpty)
  }

  @Test func refusesADescriptionThatNoMemoryHolds() throws {
    let error = #expect(throws: RuleFailure.self) { try completeness(.always).expected() }
    #expect(error?.message.contains("more than \(Completeness.mostExpected) tensors (n_layer is") == true)
    let keys = try completeness(.always, layers: 2).expected().map(\.key)
    #expect(keys == ["h.0.norm.weight", "h.0.norm.bias", "h.1.norm.weight", "h.1.norm.bias"])
  }
}
