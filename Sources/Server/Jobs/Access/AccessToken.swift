package import API

/// The record of a token: everything but the secret, which nobody has but its bearer.
package struct AccessToken: Sendable, Hashable {
  package let id: Identifier
  /// Who the bearer is. One living token has it at a time.
  package let name: String
  package let scopes: Set<AccessScope>
  package let team: String?
  package let createdAt: Timestamp
  /// From then on the token is refused; nil for never.
  package var expiresAt: Timestamp?
  /// The latest use, to the minute.
  package var lastUsedAt: Timestamp?
  package var revokedAt: Timestamp?

  package init(
    id: Identifier, name: String, scopes: Set<AccessScope>, team: String?, createdAt: Timestamp,
    expiresAt: Timestamp? = nil, lastUsedAt: Timestamp? = nil, revokedAt: Timestamp? = nil
  ) {
    self.id = id
    self.name = name
    self.scopes = scopes
    self.team = team
    self.createdAt = createdAt
    self.expiresAt = expiresAt
    self.lastUsedAt = lastUsedAt
    self.revokedAt = revokedAt
  }

  /// Why the token is refused now, or nil.
  package func refusal(at now: Timestamp) -> String? {
    if revokedAt != nil { return "the token was revoked" }
    if let expiresAt, expiresAt <= now { return "the token expired" }
    return nil
  }

  /// True when the token has one of the scopes, or `admin`.
  package func has(anyOf wanted: Set<AccessScope>) -> Bool {
    scopes.contains(.admin) || !scopes.isDisjoint(with: wanted)
  }
}
