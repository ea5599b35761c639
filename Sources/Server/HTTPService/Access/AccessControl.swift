import API
import HTTPTypes
import Hummingbird
import Jobs
import Synchronization

/// Decides who may call a route: off as long as no token exists, unless the operator requires them.
final class AccessControl: Sendable {
  private let tokens: any TokenStore
  private let links: DownloadLinks
  private let uses: TokenUses
  private let visibility: Visibility
  /// What holds while access is off.
  private let local: LocalAccess?
  /// Set for good once tokens are required or one was seen.
  private let isOn: Mutex<Bool>

  init(
    tokens: any TokenStore, links: DownloadLinks, uses: TokenUses, visibility: Visibility, isRequired: Bool,
    local: LocalAccess?
  ) {
    self.tokens = tokens
    self.links = links
    self.uses = uses
    self.visibility = visibility
    self.local = local
    isOn = Mutex(isRequired)
  }

  /// True when requests need a token. Complexity: a query until it is true, none after.
  func isRequired() async throws -> Bool {
    if isOn.withLock({ $0 }) { return true }
    guard try await tokens.hasTokens() else { return false }
    isOn.withLock { $0 = true }
    return true
  }

  /// Who makes a request. Throws `Problem` 401 without a valid token and 403 for one without the scope, both with
  /// `WWW-Authenticate` after RFC 6750, section 3; and 403 for what `LocalAccess` refuses.
  func principal(for request: Request, at access: RouteAccess) async throws -> Principal {
    guard case .anyOf(let scopes) = access else { return .nobody }
    guard try await isRequired() else {
      try local?.check(request)
      return .anybody
    }
    let token = try await authenticate(request, allowsLink: scopes.contains(.read))
    let names = scopes.map(\.rawValue).sorted()
    guard token.has(anyOf: scopes) else {
      throw Problem(
        .forbidden, "the token \(token.name) lacks the scope \(names.joined(separator: " or "))",
        headers: [.wwwAuthenticate: Self.challenge("insufficient_scope", scope: names.joined(separator: " "))])
    }
    uses.note(token, at: .now)
    return Principal(token, visibility: visibility)
  }

  /// The token that a request shows or, where a link will do, that its link stands for.
  private func authenticate(_ request: Request, allowsLink: Bool) async throws -> AccessToken {
    guard let header = request.headers[.authorization] else {
      if allowsLink, let token = try await links.token(for: request, at: .now) {
        if let refusal = token.refusal(at: .now) { throw Self.refused(refusal) }
        return token
      }
      throw Problem(
        .unauthorized, "send an access token: Authorization: Bearer zpt_...",
        headers: [.wwwAuthenticate: Self.challenge()])
    }
    let parts = header.split(separator: " ", omittingEmptySubsequences: true)
    guard parts.count == 2, parts[0].lowercased() == "bearer", let secret = TokenSecret(parts[1]),
      let token = try await tokens.token(for: secret.digest)
    else { throw Self.refused("the Authorization header has no token of this service") }
    if let refusal = token.refusal(at: .now) { throw Self.refused(refusal) }
    return token
  }

  private static func refused(_ detail: String) -> Problem {
    Problem(.unauthorized, detail, headers: [.wwwAuthenticate: challenge("invalid_token")])
  }

  /// The value of `WWW-Authenticate`.
  static func challenge(_ error: String? = nil, scope: String? = nil) -> String {
    "Bearer realm=\"zooport\"" + (error.map { ", error=\"\($0)\"" } ?? "") + (scope.map { ", scope=\"\($0)\"" } ?? "")
  }
}
