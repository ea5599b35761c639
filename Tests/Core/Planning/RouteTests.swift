import OrderedCollections
import Testing

@testable import Core

/// Which steps lead from one format to another.
@Suite struct RouteTests {
  private static func bridge(_ release: Release) -> Bridge {
    Bridge(to: release, hfClass: "", modelType: "", tensors: [], config: [])
  }

  /// Releases 1.6 to 1.9; bridges to 1.7 and 1.8.
  private static let model = Model(
    "m", csClass: "", oldest: Release(1, 6), bridge: bridge(Release(1, 7)), laterBridges: [bridge(Release(1, 8))],
    revisions: [
      Revision(Release(1, 7)), Revision(Release(1, 8), optionalPrefix: "model.", keepsPrefix: true),
      Revision(Release(1, 9)),
    ])

  private static func steps(_ source: Format, _ target: Format) -> [String]? {
    Route(model: model, source: source, target: target)?.hops.map { hop in
      switch hop {
      case .bridge(let bridge, let side): "\(side == .hf ? "to" : "from") \(bridge.release)"
      case .revision(let revision, let side): "\(side == .older ? "up to" : "down from") \(revision.release)"
      }
    }
  }

  @Test(arguments: [
    (Format.hf, Format.cs(Release(1, 6)), ["to cs-1.7", "down from cs-1.7"]),
    (.hf, .cs(Release(1, 7)), ["to cs-1.7"]), (.hf, .cs(Release(1, 8)), ["to cs-1.8"]),
    (.hf, .cs(Release(1, 9)), ["to cs-1.8", "up to cs-1.9"]), (.cs(Release(1, 8)), .hf, ["from cs-1.8"]),
    (.cs(Release(1, 6)), .hf, ["up to cs-1.7", "from cs-1.7"]),
    (.cs(Release(1, 9)), .hf, ["down from cs-1.9", "from cs-1.8"]),
    (.cs(Release(1, 6)), .cs(Release(1, 8)), ["up to cs-1.7", "up to cs-1.8"]),
  ])
  func takesTheNearestBridge(_ source: Format, _ target: Format, _ steps: [String]) {
    #expect(Self.steps(source, target) == steps)
  }

  @Test func refusesFormatsOffTheLine() {
    #expect(Self.steps(.hf, .hf) == nil)
    #expect(Self.steps(.hf, .cs(Release(1, 5))) == nil)
    #expect(Self.steps(.cs(Release(2, 0)), .hf) == nil)
  }

  @Test func prefixesHoldFromTheirReleaseOn() {
    #expect(Self.model.optionalPrefix(of: Release(1, 7)) == nil)
    #expect(Self.model.optionalPrefix(of: Release(1, 8)) == "model.")
    #expect(Self.model.optionalPrefix(of: Release(1, 9)) == "model.")
  }
}
