import Core
import Hummingbird

/// `/v1/models`: what converts to what.
struct ModelController: Sendable {
  let directory: ModelDirectory

  /// `GET /v1/models`.
  @Sendable func list(_ request: Request, context: ServiceContext) async throws -> Response {
    try JSONBody.response(["models": directory.listings.map(ModelDocument.init)])
  }

  /// `GET /v1/models/{model}`, by name or alias.
  @Sendable func get(_ request: Request, context: ServiceContext) async throws -> Response {
    let name = try context.parameters.require("model")
    guard let listing = directory.listing(named: name) else {
      throw Problem(.notFound, ProblemCode(.unknownModel), "no model is called \(name); GET /v1/models lists them")
    }
    return try JSONBody.response(ModelDocument(listing))
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

  let name: String
  let aliases: [String]
  let conversions: [Conversion]

  init(_ listing: ModelListing) {
    name = listing.name
    aliases = listing.aliases
    conversions = listing.conversions.map {
      Conversion(
        srcFmt: $0.source.description, tgtFmt: $0.target.description, note: $0.note, composed: $0.composed)
    }
  }
}
