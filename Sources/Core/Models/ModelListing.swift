/// What the catalogue says of one model: for `zooport list`, `GET /v1/models` and the documentation.
package struct ModelListing: Sendable, Hashable {
  /// One direction between two formats.
  package struct Conversion: Sendable, Hashable {
    package let source: Format
    package let target: Format
    /// Classes on both sides and caveats, one paragraph.
    package let note: String
    /// True when the pair is composed of other pairs and the vendor's tool does not offer it.
    package let composed: Bool
  }

  /// The name that `--model` takes.
  package let name: String
  /// Other names that `--model` takes.
  package let aliases: [String]
  /// Every pair, in catalogue order.
  package let conversions: [Conversion]
}

extension ModelListing {
  init(_ model: Model) {
    var conversions: [Conversion] = []
    for (index, first) in model.formats.enumerated() {
      for second in model.formats[(index + 1)...] {
        for (source, target) in [(first, second), (second, first)] {
          conversions.append(
            Conversion(
              source: source, target: target, note: model.note(source, target),
              composed: !model.toolOffers(source, target)))
        }
      }
    }
    self.init(name: model.name, aliases: model.aliases.map(\.name), conversions: conversions)
  }
}

extension Model {
  /// Which classes hold the state dict on both sides, and the caveat.
  fileprivate func note(_ source: Format, _ target: Format) -> String {
    func named(_ format: Format) -> String {
      switch format {
      case .hf: "HF \(alternatives.compactMap(\.bridges.first?.hfClass).joined(separator: " or "))"
      case .cs(let release): "\(release.description.replacing("cs-", with: "CS ")) \(csClass)"
      }
    }
    let classes = "\(named(source)) -> \(named(target))"
    guard let caveat, source == .hf || target == .hf else { return classes }
    return "\(classes). \(caveat)"
  }
}
