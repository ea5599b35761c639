import OrderedCollections
import Testing

@testable import Core

/// `--model auto --src-fmt auto`: right, or an error that names the right layout among the candidates.
@Suite struct DetectionTests {
  /// All but headless models of the Model Zoo: there the checkpoint has a head, so leaving it out is the user's choice.
  static let unambiguous = GoldenCase.all.filter { !($0.model.hasSuffix("-headless") && $0.source != "hf") }

  @Test(arguments: unambiguous) func neverTakesOneLayoutForAnother(_ golden: GoldenCase) throws {
    let (config, checkpoint) = try golden.inputs()
    let options = Planner.Options()
    let named = try Catalogue.route(model: golden.model, from: golden.source, to: golden.target, config: config)
    let expected = try Planner.plan(config: config, checkpoint: checkpoint, along: named, options: options)
    let detected = Result { () throws(ConversionError) in
      try Detection.route(
        model: "auto", from: "auto", to: golden.target, config: config, checkpoint: checkpoint, options: options)
    }
    switch detected {
    case .success(let (route, findings)):
      let plan = try Planner.plan(config: config, checkpoint: checkpoint, along: route, options: options)
      #expect(plan.tensors == expected.tensors && plan.tree == expected.tree && plan.config == expected.config)
      #expect(findings.map(\.message) == ["Detected model \(route.model.name), source format \(route.source)"])
    case .failure(let error):
      #expect(error.kind == .usage)
      #expect(
        error.message.contains("--model \(try #require(Catalogue.model(named: golden.model)).name) --src-fmt"),
        "\(error.message)")
    }
  }

  @Test func knowsHuggingFaceModelsByTheirKeysAndClass() throws {
    let cases = GoldenCase.all.filter { $0.source == "hf" && $0.target == "cs-1.8" }
    #expect(cases.count >= 12)
    for golden in cases {
      let route = try Detection.route(
        model: "auto", from: "auto", to: "cs-1.8", config: try golden.inputs().config,
        checkpoint: try golden.inputs().checkpoint, options: Planner.Options()
      ).route
      #expect(route.model.name == Catalogue.model(named: golden.model)?.name && route.source == .hf, "\(golden.model)")
    }
  }

  @Test func takesTheHeadWhereTheCheckpointHasOne() throws {
    let golden = try #require(
      GoldenCase.all.first { $0.model == "gpt2" && $0.source == "cs-1.8" && $0.target == "hf" })
    let route = try Detection.route(
      model: "auto", from: "auto", to: "hf", config: try golden.inputs().config,
      checkpoint: try golden.inputs().checkpoint, options: Planner.Options()
    ).route
    #expect(route.model.name == "gpt2")
    #expect(route.source == .cs(Release(1, 8)))
  }

  @Test func saysSoWhenNothingFits() {
    let error = conversionError {
      try Detection.route(
        model: "auto", from: "auto", to: "cs-1.8", config: ["model_type": "gpt2"],
        checkpoint: .dictionary([.init(.string("strange"), .none)], ordered: true), options: Planner.Options())
    }
    #expect(error?.kind == .unsupportedPair)
  }

  @Test func namesAnUnknownModelBesideAutomaticFormat() {
    let error = conversionError {
      try Detection.route(
        model: "gtp2", from: "auto", to: "cs-1.8", config: [:], checkpoint: nil, options: Planner.Options())
    }
    #expect(error?.kind == .unknownModel)
  }
}
