import SystemPackage
import Testing

@testable import API
@testable import APIClient
@testable import Core
@testable import HTTPService
@testable import Inputs
@testable import Jobs
@testable import SQLiteStore
@testable import Server

/// What every token store must do. A second implementation adds its factory here and passes.
@Suite("Token store conformance")
struct TokenStoreConformance {
  private let folder: TemporaryFolder
  private let store: any TokenStore
  private let now = Timestamp(milliseconds: 1_000_000)

  init() throws {
    folder = try TemporaryFolder()
    store = SQLiteTokenStore(database: try Database(path: folder.path.appending("test.sqlite").string))
  }

  private func token(_ name: String, expiresAt: Timestamp? = nil, at time: Timestamp? = nil) -> AccessToken {
    AccessToken(
      id: .generate(at: time ?? now), name: name, scopes: [.submit, .metrics], team: "red", createdAt: time ?? now,
      expiresAt: expiresAt)
  }

  @Test("A token is found by the digest of its secret only, and comes back as it was put in")
  func roundTrip() async throws {
    #expect(try await !store.hasTokens())
    let (secret, other) = (TokenSecret.generate(), TokenSecret.generate())
    let token = token("ann", expiresAt: Timestamp(milliseconds: 5_000_000))
    try store.insert(token, digest: secret.digest)
    #expect(try await store.token(for: secret.digest) == token)
    #expect(try await store.token(for: other.digest) == nil)
    #expect(try await store.token(token.id) == token)
    #expect(try await store.token(.generate()) == nil)
    #expect(try await store.hasTokens())
    #expect(try store.tokens() == [token])
    // Equal up to the part by which candidates are found.
    var digits = secret.digest.hexadecimal
    digits.replaceSubrange(digits.index(before: digits.endIndex)..., with: digits.last == "0" ? "1" : "0")
    let near = try #require(TokenDigest(hexadecimal: digits))
    #expect(near.lookup == secret.digest.lookup)
    #expect(try await store.token(for: near) == nil)
  }

  @Test("A name is that of one living token; a revoked or expired one frees it and stays on the list")
  func names() async throws {
    let first = token("ann")
    let secret = TokenSecret.generate()
    try store.insert(first, digest: secret.digest)
    #expect(throws: TokenStoreError.nameTaken) { try store.insert(token("ann"), digest: TokenSecret.generate().digest) }
    let revoked = try #require(try store.revoke("ann", at: now))
    #expect(revoked.id == first.id)
    #expect(revoked.revokedAt == now)
    #expect(try await store.token(for: secret.digest)?.refusal(at: now) == "the token was revoked")
    #expect(try store.revoke("ann", at: now) == nil)

    let short = token("ann", expiresAt: Timestamp(milliseconds: 1_000_001))
    try store.insert(short, digest: TokenSecret.generate().digest)
    #expect(throws: TokenStoreError.nameTaken) { try store.insert(token("ann"), digest: TokenSecret.generate().digest) }
    let last = token("ann", at: Timestamp(milliseconds: 1_000_001))
    try store.insert(last, digest: TokenSecret.generate().digest)
    #expect(try store.revoke(last.id.description, at: now)?.id == last.id)
    #expect(Set(try store.tokens().map(\.id)) == [first.id, short.id, last.id])
    #expect(try await store.hasTokens(), "revoking the last token opens nothing")
  }

  @Test("A use is noted once a minute")
  func uses() async throws {
    let secret = TokenSecret.generate()
    let token = token("ann")
    try store.insert(token, digest: secret.digest)
    for (moment, noted) in [(1_000, 1_000), (60_999, 1_000), (61_000, 61_000)] {
      try await store.noteUse(of: token.id, at: Timestamp(milliseconds: moment))
      #expect(try await store.token(for: secret.digest)?.lastUsedAt == Timestamp(milliseconds: noted))
    }
  }
}
