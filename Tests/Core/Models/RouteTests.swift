import OrderedCollections
import Testing

@testable import Core

/// Which steps lead from one format to another.
@Suite struct RouteTests {
  private static func bridge(_ releases: ClosedRange<Release>) -> Bridge {
    Bridge(covers: releases, hfClass: "", modelTypes: [""], tensors: { _ in [] }, config: { _ in [] })
  }

  /// Releases 1.6 to 2.10; bridges to 1.7 and 1.8, and to 2.1 and later.
  private static let model = Model(
    "m", csClass: "", ladder: Ladder(from: Release(1, 6), []),
    bridges: [bridge(Release(1, 7)...Release(1, 8)), bridge(Release(2, 1)...Release(2, 10))])

  private static func steps(_ source: Format, _ target: Format) -> [String]? {
    Route(model: model, source: source, target: target)?.hops.map { hop in
      switch hop {
      case .bridge(let crossing, let side): "\(side == .hf ? "to" : "from") \(crossing.release)"
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
    (.hf, .cs(Release(2, 9)), ["to cs-2.9"]), (.cs(Release(2, 10)), .hf, ["from cs-2.10"]),
    (.hf, .cs(Release(2, 0)), ["to cs-2.1", "down from cs-2.1"]),
  ])
  func takesTheNearestBridge(_ source: Format, _ target: Format, _ steps: [String]) {
    #expect(Self.steps(source, target) == steps)
  }

  @Test func refusesFormatsOffTheLine() {
    #expect(Self.steps(.hf, .hf) == nil)
    #expect(Self.steps(.hf, .cs(Release(1, 5))) == nil)
    #expect(Self.steps(.cs(Release(2, 11)), .hf) == nil)
  }
}
