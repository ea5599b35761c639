package import API
package import Core
import OrderedCollections

/// The catalogue as the service sees it: names and pairs, nothing of tensors.
package struct ModelDirectory: Sendable {
  package let listings: [ModelListing]

  package init(listings: [ModelListing]) {
    self.listings = listings
  }

  /// The listing of a model, by its name or an alias, letter case aside as on the command line.
  package func listing(named name: String) -> ModelListing? {
    let name = name.lowercased()
    return listings.first { listing in ([listing.name] + listing.aliases).contains { $0.lowercased() == name } }
  }

  /// The name of a model for a metric: that of the catalogue, or `other`, so that clients cannot make up values.
  package func label(of name: String) -> String { listing(named: name)?.name ?? "other" }

  /// All that `label` answers.
  var labels: [String] { listings.map(\.name) + ["other"] }

  /// What is wrong with a model and a pair; empty when there is a conversion.
  package func findings(model: String, source: String, target: String) -> [Finding] {
    // What `auto` stands for is known only once the inputs are read; a job that fits nothing fails then.
    if model == "auto" || ["auto", "cs-auto"].contains(source) {
      guard model != "auto", listing(named: model) == nil else {
        guard Format(target: target) == nil else { return [] }
        return [
          Finding(field: "tgt_fmt", "\(target) is no target format", code: .unsupportedPair)
        ]
      }
    }
    guard let listing = listing(named: model) else {
      return [
        Finding(
          field: "model", "no model is called \(model); GET /v1/models lists them", code: .unknownModel)
      ]
    }
    if let from = Format(source), let to = Format(target: target),
      listing.conversions.contains(where: { $0.source == from && $0.target == to })
    {
      return []
    }
    let formats = OrderedSet(listing.conversions.map(\.source.description)).joined(separator: ", ")
    return [
      Finding(
        field: "tgt_fmt",
        "\(listing.name) does not convert from \(source) to \(target); its formats are \(formats)",
        code: .unsupportedPair)
    ]
  }
}
