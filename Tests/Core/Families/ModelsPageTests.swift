import Core
import Foundation
import Testing

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
    #expect(document.contains("| hf | cs-1.7, cs-1.8, cs-1.9 (*composed*)"))
    #expect(document.contains("Also called `bert-q&a`."))
  }
}
