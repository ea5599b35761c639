import OrderedCollections
import Testing

@testable import Core
@testable import Core

@Suite struct MuPTests {
  static let section: ConfigObject = [
    "hidden_size": 12, "num_heads": 2, "num_hidden_layers": 1, "filter_size": 20, "vocab_size": 5,
    "max_position_embeddings": 6, "share_embedding_weights": false, "nonlinearity": "gelu",
  ]

  /// The functions of a fold for one key, by the key's last parts.
  private func functions(_ fold: Fold, _ key: String, _ changes: ConfigObject) throws -> [ElementFunction] {
    let config = Self.section.merging(changes) { _, new in new }
    let scaling = try #require(fold.scalings.first { $0.pattern.match(key.split(separator: ".")) != nil }, "\(key)")
    return try scaling.functions(config)
  }

  private let attention = "transformer_decoder.layers.3.self_attn.proj_k_dense_layer.weight"
  private let head = "lm_head.weight"
  private let words = "embedding_layer.word_embeddings.weight"

  @Test func keysAreScaledInTwoOperations() throws {
    let fold = Fold.decoderMuP()
    #expect(
      try functions(fold, attention, ["attention_logits_alpha": 0.3, "scale_qk_dot_by_d": true])
        == [.multiply(0.3), .divide(6.0.squareRoot())])
    #expect(try functions(fold, attention, ["mup_base_hidden_size": 4]) == [.divide(6.0.squareRoot())])
    #expect(try functions(fold, attention, ["mup_base_hidden_size": 4, "scale_qk_dot_by_d": false]) == [])
    #expect(try functions(fold, attention, ["attention_logits_alpha": nil, "scale_qk_dot_by_d": nil]) == [])
    #expect(
      try functions(fold, attention, ["scale_qk_dot_by_d": true, "attention_inner_dim": 32]) == [.divide(4)])
    // The class divides scaled dot products only.
    #expect(try functions(fold, attention, ["scale_qk_dot_by_d": true, "attention_type": "dot_product"]) == [])
    #expect(
      try functions(.decoderMuP(dividesByDefault: false), attention, ["mup_base_hidden_size": 4]) == [])
  }

  @Test func logitsAreScaledByTheWidth() throws {
    let fold = Fold.decoderMuP()
    for leaf in ["weight", "bias"] {
      #expect(
        try functions(fold, "lm_head.\(leaf)", ["mup_base_hidden_size": 4, "output_logits_alpha": 1.5]) == [
          .multiply(0.5)
        ])
    }
    #expect(
      try functions(fold, head, ["mup_base_hidden_size": 3, "scale_output_logits_by_d": false]) == [.multiply(0.5)])
    #expect(
      try functions(fold, head, ["mup_base_hidden_size": 3, "scale_output_logits_by_d": nil]) == [.multiply(0.25)])
    #expect(try functions(fold, head, ["mup_base_hidden_size": 12]) == [])
    #expect(try functions(fold, head, ["output_logits_scale": 0.125]) == [.multiply(0.125)])
    #expect(try functions(fold, head, ["output_logits_alpha": 3]) == [])
    #expect(throws: ConfigFailure.self) { try functions(fold, head, ["mup_base_hidden_size": -3]) }
    #expect(throws: ConfigFailure.self) { try functions(fold, head, ["mup_base_hidden_size": "wide"]) }
  }

  @Test func embeddingsOrTheNormBehindThemAreScaled() throws {
    let fold = Fold.decoderMuP(positions: "positions.weight", embeddingNorm: "embedding_ln_f.{leaf}")
    for key in [words, "positions.weight"] {
      #expect(try functions(fold, key, ["embeddings_scale": 10]) == [.multiply(10)])
      #expect(try functions(fold, key, ["embeddings_scale": 10, "embedding_layer_norm": true]) == [])
      #expect(try functions(fold, key, ["embeddings_scale": nil]) == [])
    }
    for leaf in ["weight", "bias"] {
      #expect(
        try functions(fold, "embedding_ln_f.\(leaf)", ["embeddings_scale": 10, "embedding_layer_norm": true]) == [
          .multiply(10)
        ])
    }
  }

  @Test(
    arguments: [
      ["mup_base_hidden_size": 4], ["mup_base_filter_size": 4], ["embeddings_scale": 2.0], ["scale_qk_dot_by_d": true],
      ["output_logits_scale": 0.5], ["attention_logits_alpha": 0.5],
    ] as [ConfigObject])
  func anyEffectiveKeyIsFolded(_ keys: ConfigObject) throws {
    let fold = Fold.decoderMuP()
    let config = Self.section.merging(keys) { _, new in new }
    #expect(fold.applies([:], config))
    let folded = try fold.config(config)
    #expect(!fold.applies([:], folded), "folding twice is folding once")
    #expect(folded.keys.allSatisfy { !MuP.keys.contains($0) })
  }

  @Test(
    arguments: [
      [:], ["mup_base_hidden_size": nil], ["embeddings_scale": 1.0], ["embeddings_scale": nil],
      ["scale_qk_dot_by_d": false], ["output_logits_scale": nil], ["attention_logits_alpha": 1],
      ["output_logits_alpha": 2.0], ["scale_output_logits_by_d": true],
    ] as [ConfigObject])
  func neutralKeysAreNoMuP(_ keys: ConfigObject) {
    let config = Self.section.merging(keys) { _, new in new }
    #expect(!Fold.decoderMuP().applies([:], config))
    #expect(!Fold.refusingMuP(unless: []).applies([:], config))
  }

  @Test func oneMatrixBecomesTwo() throws {
    let fold = Fold.decoderMuP()
    let matrix = SymbolicTensor(source: "lm_head.weight", dtype: .float32, shape: [5, 12])
    for missing in [words, head] {
      let kept = missing == words ? head : words
      var state = StateDict([kept: .tensor(matrix), missing: .other(.none)])
      let config = Self.section.merging(
        ["share_embedding_weights": true, "embeddings_scale": 10, "output_logits_scale": 0.5]
      ) { _, new in new }
      try fold.apply(to: &state, config)
      #expect(state.values[words]?.tensor?.expression == matrix.mapped(.multiply(10)).expression)
      #expect(state.values[head]?.tensor?.expression == matrix.mapped(.multiply(0.5)).expression)
      #expect(try fold.config(config)["share_embedding_weights"] == false)
    }
  }

  @Test func onlyScaledAttentionKeepsTheTie() throws {
    let config = Self.section.merging(["share_embedding_weights": true, "attention_logits_alpha": 0.5]) { $1 }
    #expect(try Fold.decoderMuP().config(config)["share_embedding_weights"] == true)
  }

  @Test(arguments: ["codegen", "codegen-headless", "gpt-neox", "gpt-neox-headless"], MuP.factors + MuP.switches)
  func modelsWithoutSupportRefuse(_ model: String, _ key: String) throws {
    let value: ConfigValue = MuP.switches.contains(key) ? true : 3.5
    let error = conversionError {
      try Planner.plan(
        config: ["model": .object(Self.section.merging([key: value]) { $1 })],
        along: Catalogue.route(model: model, from: "cs-2.9", to: "hf"))
    }
    #expect(error?.kind == .configNotConvertible)
    #expect(error?.message.contains(key) ?? false)
  }

  /// Each scaling is about a key that the bridge converts.
  @Test func foldsNameKeysOfTheirBridges() {
    for model in Catalogue.models.flatMap(\.alternatives) {
      for bridge in model.bridges {
        for release in model.releases where bridge.covers.contains(release) {
          let claims = bridge.crossing(at: release, zooName: model.zooName).tensors.flatMap { $0.claims(.cs) }
          for scaling in bridge.folds(at: release).flatMap(\.scalings) where !scaling.pattern.holes.contains("rest") {
            let key = scaling.pattern.example().split(separator: ".")
            #expect(claims.contains { $0.match(key) != nil }, "\(model.name) at \(release): \(scaling.pattern)")
          }
        }
      }
    }
  }

  @Test func foldsGoOneWay() {
    for model in Catalogue.models.flatMap(\.alternatives) {
      for release in model.releases {
        #expect(Route(model: model, source: .hf, target: .cs(release))?.folds.isEmpty ?? true)
      }
    }
  }
}
