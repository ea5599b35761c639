/// `docs/models.md`: what converts to what, from the catalogue alone.
package enum ModelsPage {
  /// The document as Markdown. `zooport list --markdown` prints it, and a test compares it with the file.
  package static func render() -> String {
    var lines = [
      "# Models", "",
      "Made by `zooport list --markdown > docs/models.md`. `A .. B` stands for both formats and all between them. The vendor's tool does not",
      "offer what is marked *composed*; Zooport walks through the releases in between. `zooport list --pairs MODEL` prints every pair.",
      "",
    ]
    for family in Catalogue.all {
      lines += ["## \(family.name)", ""]
      for model in family.models { lines += section(model) }
    }
    return lines.joined(separator: "\n")
  }

  private static func section(_ model: Model) -> [String] {
    var lines = ["### \(model.name)", ""]
    let hfClasses = model.alternatives.flatMap(\.bridges).map(\.hfClass).reduce(into: [String]()) {
      if !$0.contains($1) { $0.append($1) }
    }
    let hf = hfClasses.isEmpty ? "none" : hfClasses.map { "`\($0)`" }.joined(separator: ", ")
    lines += ["Hugging Face class: \(hf). Model Zoo class: `\(model.csClass)`.", ""]
    if !model.aliases.isEmpty {
      lines += ["Also called \(model.aliases.map { "`\($0.name)`" }.joined(separator: ", ")).", ""]
    }
    if let caveat = model.caveat { lines += [caveat, ""] }
    for line in ModelListing(model).lines { lines.append("- \(line.text)\(line.composed ? " (*composed*)" : "")") }
    return lines + [""]
  }
}
