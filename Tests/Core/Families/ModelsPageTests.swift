import Foundation
import Testing

@testable import Core

@Suite struct ModelsPageTests {
  @Test func documentIsWhatTheCatalogueSays() throws {
    let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let written = try String(contentsOf: repository.appending(path: "docs/models.md"), encoding: .utf8)
    #expect(written == ModelsPage.render(), "run: zooport list --markdown > docs/models.md")
  }

  @Test func documentNamesEveryModelAndPair() {
    let document = ModelsPage.render()
    for model in Catalogue.models {
      #expect(document.contains("### \(model.name)\n"))
    }
    #expect(document.contains("\n- hf <-> cs-2.1 .. cs-2.9\n"))
    #expect(document.contains("Also called `bert-q&a`."))
  }

  @Test(arguments: Catalogue.listings.map(\.name)) func everyPairStandsInOneLine(_ name: String) throws {
    let listing = try #require(Catalogue.listing(named: name))
    let pairs = listing.lines.flatMap(\.pairs)
    #expect(pairs.sorted() == Array(listing.conversions.indices))
    for line in listing.lines { #expect(line.pairs.allSatisfy { listing.conversions[$0].composed == line.composed }) }
    #expect(listing.lines.count < 12)
  }

  @Test func linesSayWhatTheToolOffers() throws {
    let texts = try #require(Catalogue.listing(named: "bert")).lines.map(\.text)
    #expect(
      texts == [
        "hf <-> cs-1.7 .. cs-1.8", "hf <-> cs-2.1 .. cs-2.9", "any two of cs-1.6 .. cs-2.0",
        "cs-2.0 .. cs-2.5, one step at a time", "every other pair of hf, cs-1.6 .. cs-2.10",
      ])
  }
}
