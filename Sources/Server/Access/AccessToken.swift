/// The record of a token: everything but the secret, which nobody has but its bearer.
struct AccessToken: Sendable, Hashable {
  let id: Identifier
  /// Who the bearer is. One living token has it at a time.
  let name: String
  let scopes: Set<AccessScope>
  let team: String?
  let createdAt: Timestamp
  /// From then on the token is refused; nil for never.
  var expiresAt: Timestamp?
  /// The latest use, to the minute.
  var lastUsedAt: Timestamp?
  var revokedAt: Timestamp?

  /// Why the token is refused now, or nil.
  func refusal(at now: Timestamp) -> String? {
    if revokedAt != nil { return "the token was revoked" }
    if let expiresAt, expiresAt <= now { return "the token expired" }
    return nil
  }

  /// True when the token has one of the scopes, or `admin`.
  func has(anyOf wanted: Set<AccessScope>) -> Bool { scopes.contains(.admin) || !scopes.isDisjoint(with: wanted) }
}
