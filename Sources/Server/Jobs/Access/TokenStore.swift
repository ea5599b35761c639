package import API

/// Where the records of tokens live.
///
/// Functions marked `async` are for request handlers; the others block and are for commands. The service and commands
/// in other processes use one store at a time: what one changes holds for the next request.
package protocol TokenStore: Sendable {
  /// Adds a token. Throws `TokenStoreError.nameTaken` when a living token has the name.
  func insert(_ token: AccessToken, digest: TokenDigest) throws

  /// All tokens, revoked ones too, oldest first.
  func tokens() throws -> [AccessToken]

  /// Revokes the living token with this name or id. Answers it; nil when there is none.
  func revoke(_ nameOrID: String, at now: Timestamp) throws -> AccessToken?

  /// The token whose secret has this digest, revoked and expired ones too; nil when there is none.
  func token(for digest: TokenDigest) async throws -> AccessToken?

  /// The token with this id, revoked and expired ones too; nil when there is none.
  func token(_ id: Identifier) async throws -> AccessToken?

  /// True once a token was ever made. Stays true: records of revoked tokens are kept, so revoking the last one does
  /// not open the service.
  func hasTokens() async throws -> Bool

  /// Notes a use, unless one of the last minute is noted.
  func noteUse(of token: Identifier, at now: Timestamp) async throws
}

/// What a token store refuses.
package enum TokenStoreError: Error, Hashable {
  /// A living token has this name.
  case nameTaken
}
