import API
import HTTPTypes
import Hummingbird

/// `/` and `/ui`: the page. It says nothing about jobs; what it shows it gets from the API, with the token that its user types.
struct PageController: Sendable {
  /// False where the operator switched the page off.
  let isOn: Bool
  let assets: Assets

  init(isOn: Bool, assets: Assets = .embedded) {
    self.isOn = isOn
    self.assets = assets
  }

  /// `GET /`: the document. It is asked for again each time, so that a new version of the service is seen at once.
  @Sendable func index(_ request: Request, context: ServiceContext) async throws -> Response {
    guard isOn else { throw Fault.notFound("nothing is at /: the page is switched off") }
    return answer(assets.index, to: request, cacheControl: "no-cache")
  }

  /// `GET /ui/{version}/{asset}`: a file of the page, which may be kept for ever. Throws `Fault` 404 for one of another
  /// version.
  @Sendable func asset(_ request: Request, context: ServiceContext) async throws -> Response {
    let version = try context.parameters.require("version")
    let name = try context.parameters.require("asset")
    guard isOn, version == assets.version, let asset = assets.files[name] else {
      throw Fault.notFound("the page has no file \(name) of this version; load the page again")
    }
    return answer(asset, to: request, cacheControl: "public, max-age=31536000, immutable")
  }

  private func answer(_ asset: Assets.Asset, to request: Request, cacheControl: String) -> Response {
    var headers: HTTPFields = [
      .eTag: asset.tag.value, .cacheControl: cacheControl, .contentSecurityPolicy: Self.policy,
      .xContentTypeOptions: "nosniff", .referrerPolicy: "no-referrer", .crossOriginResourcePolicy: "same-origin",
    ]
    if asset.tag.matchesAny(of: request.headers[.ifNoneMatch]) {
      return Response(status: .notModified, headers: headers)
    }
    headers[.contentType] = asset.contentType
    return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: asset.bytes))
  }

  /// Nothing but files of this origin, no code in the document, no text that becomes code, and no frame around it.
  static let policy = [
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self'",
    "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].joined(separator: "; ")
}

extension HTTPField.Name {
  /// The literals are valid field names.
  static let referrerPolicy = HTTPField.Name("Referrer-Policy")!
  static let crossOriginResourcePolicy = HTTPField.Name("Cross-Origin-Resource-Policy")!
}
