import API
import HTTPTypes
import Hummingbird
import Inputs
import Jobs

/// The URL of a download. Anyone who has the URL can download, without a token, until it expires.
struct DownloadLink: Encodable, Sendable {
  let url: String
  let expiresAt: Timestamp
}

/// Makes links to downloads and reads them, so that a browser can save a file without holding it in memory.
///
/// A link stands for the token that asked for it, on one path and until it expires. A token that is revoked, expires or
/// loses its `read` scope takes its links with it. Nothing is stored: the key of the data folder signs the links.
struct DownloadLinks: Sendable {
  let vault: SecretVault
  let tokens: any TokenStore

  /// How long a link can be used. A download that has begun goes on after that.
  static let lifetime: Duration = .seconds(3600)
  /// The name of the query parameter.
  static let parameter = "link"
  private static let purpose = "download links"
  /// In place of a token's id while access is off. Such a link is worth nothing once tokens are required.
  private static let nobody = "-"

  /// A link to a path for who asks. `path` is percent-encoded.
  func link(to path: String, for token: AccessToken?, at now: Timestamp) -> DownloadLink {
    let expiry = now.advanced(by: Self.lifetime)
    let bearer = token?.id.description ?? Self.nobody
    let claim = "\(expiry.milliseconds / 1000).\(bearer)"
    let signature = vault.signature(of: Self.signed(claim, path), for: Self.purpose)
    return DownloadLink(url: "\(path)?\(Self.parameter)=\(claim).\(signature)", expiresAt: expiry)
  }

  /// The token that a link in a request stands for; nil when there is no link in it. Throws `Problem` 401 for a link that is
  /// not of this service, is for another path, or has expired.
  func token(for request: Request, at now: Timestamp) async throws -> AccessToken? {
    guard request.method == .get || request.method == .head,
      let link = request.uri.queryParameters[Self.parameter[...]]
    else { return nil }
    let parts = link.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 3, let expiry = Int(parts[0]),
      vault.isSignature(
        parts[2], of: Self.signed("\(parts[0]).\(parts[1])", request.uri.path), for: Self.purpose),
      let id = Identifier(String(parts[1])), let token = try await tokens.token(id)
    else { throw Self.refused("the link is not one of this service to this path") }
    guard now.milliseconds / 1000 < expiry else { throw Self.refused("the link has expired; ask for another one") }
    return token
  }

  /// What is signed. Segments count as they are decoded, since clients encode them differently.
  private static func signed(_ claim: String, _ path: String) -> String {
    let segments = RouteTable.segments(of: path) ?? []
    return "\(claim).\(segments.map(PercentEncoding.encode).joined(separator: "/"))"
  }

  private static func refused(_ detail: String) -> Problem {
    Problem(.unauthorized, detail, headers: [.wwwAuthenticate: AccessControl.challenge("invalid_token")])
  }
}
