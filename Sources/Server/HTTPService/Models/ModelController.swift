import API
import Core
import Hummingbird
import Jobs

/// `/v1/models`: what converts to what.
struct ModelController: Sendable {
  let directory: ModelDirectory

  /// `GET /v1/models`: a few lines for each model.
  @Sendable func list(_ request: Request, context: ServiceContext) async throws -> Response {
    try JSONBody.response(["models": directory.listings.map { ModelDocument($0, pairs: false) }])
  }

  /// `GET /v1/models/{model}`, by name or alias: every pair as well.
  @Sendable func get(_ request: Request, context: ServiceContext) async throws -> Response {
    let name = try context.parameters.require("model")
    guard let listing = directory.listing(named: name) else {
      throw Problem(
        Fault(.unknownModel, "no model is called \(name); GET /v1/models lists them"), status: .notFound)
    }
    return try JSONBody.response(ModelDocument(listing, pairs: true))
  }
}

/// A model as clients see it.
struct ModelDocument: Encodable, Sendable {
  struct Conversion: Encodable, Sendable {
    let srcFmt: String
    let tgtFmt: String
    let note: String
    let composed: Bool
  }

  struct Line: Encodable, Sendable {
    let text: String
    let composed: Bool
  }

  let name: String
  let aliases: [String]
  let formats: [String]
  let lines: [Line]
  /// Every pair; nil in a list of models.
  let conversions: [Conversion]?

  init(_ listing: ModelListing, pairs: Bool) {
    name = listing.name
    aliases = listing.aliases
    formats = listing.formats.map(\.description)
    lines = listing.lines.map { Line(text: $0.text, composed: $0.composed) }
    guard pairs else {
      conversions = nil
      return
    }
    conversions = listing.conversions.map {
      Conversion(
        srcFmt: $0.source.description, tgtFmt: $0.target.description, note: $0.note, composed: $0.composed)
    }
  }
}
