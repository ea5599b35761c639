import API
import Core
import Foundation
import GRDB
import Jobs

/// The tokens in SQLite, in the database of the service.
struct SQLiteTokenStore: TokenStore {
  let database: Database

  func insert(_ token: AccessToken, digest: TokenDigest) throws {
    do {
      try database.write { db in
        // A name whose token expired is free again; the record stays.
        try db.execute(
          sql: Statements.retireExpiredToken,
          arguments: ["name": token.name, "now": token.createdAt.milliseconds])
        try db.execute(
          sql: Statements.insertToken,
          arguments: [
            "id": token.id.description, "name": token.name, "digest": digest.hexadecimal,
            "scopes": token.scopes.map(\.rawValue).sorted().joined(separator: ","), "team": token.team,
            "created_at": token.createdAt.milliseconds, "expires_at": token.expiresAt?.milliseconds,
          ])
      }
    } catch let error as DatabaseError where error.extendedResultCode == .SQLITE_CONSTRAINT_UNIQUE {
      throw TokenStoreError.nameTaken
    }
  }

  func tokens() throws -> [AccessToken] {
    try database.read { try Row.fetchAll($0, sql: Statements.tokens).map(Self.token) }
  }

  func revoke(_ nameOrID: String, at now: Timestamp) throws -> AccessToken? {
    try database.write { db in
      try Row.fetchOne(db, sql: Statements.revokeToken, arguments: ["subject": nameOrID, "now": now.milliseconds])
        .map(Self.token)
    }
  }

  func token(for digest: TokenDigest) async throws -> AccessToken? {
    try await database.read { db in
      // No early exit: whether and where one matches shows in no timing.
      var found: AccessToken?
      let rows = try db.cachedStatement(sql: Statements.tokensByLookup)
      for row in try Row.fetchAll(rows, arguments: ["lookup": digest.lookup]) {
        guard let stored = TokenDigest(hexadecimal: row["digest"]) else {
          throw CorruptRow(table: "tokens", id: row["id"])
        }
        if stored.matches(digest) { found = try Self.token(row) }
      }
      return found
    }
  }

  func token(_ id: Identifier) async throws -> AccessToken? {
    try await database.read { db in
      try Row.fetchOne(db, sql: Statements.token, arguments: ["id": id.description]).map(Self.token)
    }
  }

  func hasTokens() async throws -> Bool {
    try await database.read { try Bool.fetchOne(try $0.cachedStatement(sql: Statements.hasTokens)) ?? false }
  }

  func noteUse(of token: Identifier, at now: Timestamp) async throws {
    try await database.write { db in
      try db.execute(sql: Statements.noteUseOfToken, arguments: ["id": token.description, "now": now.milliseconds])
    }
  }

  /// Reads a row. Throws `CorruptRow` when the database was edited by hand: a scope that is not understood must never
  /// count as another.
  private static func token(_ row: Row) throws -> AccessToken {
    let names = (row["scopes"] as String).split(separator: ",").map(String.init)
    let scopes = names.compactMap(AccessScope.init(rawValue:))
    guard let id = Identifier(row["id"]), scopes.count == names.count else {
      throw CorruptRow(table: "tokens", id: row["id"])
    }
    func time(_ column: String) -> Timestamp? { (row[column] as Int?).map(Timestamp.init(milliseconds:)) }
    return AccessToken(
      id: id, name: row["name"], scopes: Set(scopes), team: row["team"],
      createdAt: Timestamp(milliseconds: row["created_at"]), expiresAt: time("expires_at"),
      lastUsedAt: time("last_used_at"), revokedAt: time("revoked_at"))
  }
}
