import API
import GRDB
import Jobs

/// The records of unfinished uploads in SQLite, in the same database as those of uploads, so that one becomes the other in
/// one transaction.
struct SQLitePartialUploadStore: PartialUploadStore {
  let database: Database

  func insert(_ upload: PartialUpload, admit: StorageCheck?) async throws {
    try await database.write { db in
      try admit?(SQLiteUploadStore.storedBytes(of: upload.ownership.owner, in: db))
      try db.execute(
        sql: Statements.insertPartial,
        arguments: [
          "id": upload.id.description, "name": upload.name.description, "length": upload.length,
          "received": upload.offset, "metadata": upload.metadata, "created_at": upload.createdAt.milliseconds,
          "updated_at": upload.updatedAt.milliseconds, "owner": upload.ownership.owner, "team": upload.ownership.team,
        ])
    }
  }

  func partial(_ id: Identifier) async throws -> PartialUpload? {
    try await database.read { db in
      try Row.fetchOne(db, sql: Statements.partial, arguments: ["id": id.description]).map(Self.partial)
    }
  }

  func partials(within reach: Reach, after cursor: Identifier?, limit: Int) async throws -> [PartialUpload] {
    let sql = Statements.uploads(in: "partial_uploads", within: reach, afterCursor: cursor != nil)
    let arguments = reach.arguments + ["cursor": cursor?.description, "limit": limit]
    return try await database.read { try Row.fetchAll($0, sql: sql, arguments: arguments).map(Self.partial) }
  }

  private static func partial(_ row: Row) throws -> PartialUpload {
    guard let id = Identifier(row["id"]), let name = FileName.output(row["name"]) else {
      throw CorruptRow(table: "partial_uploads", id: row["id"])
    }
    return PartialUpload(
      id: id, name: name, length: row["length"], offset: row["received"], metadata: row["metadata"],
      createdAt: Timestamp(milliseconds: row["created_at"]), updatedAt: Timestamp(milliseconds: row["updated_at"]),
      ownership: Ownership(owner: row["owner"], team: row["team"]))
  }

  func announce(_ id: Identifier, length: Int, at now: Timestamp, admit: StorageCheck?) async throws -> Bool {
    try await database.write { db in
      if let admit {
        guard let row = try Row.fetchOne(db, sql: Statements.partial, arguments: ["id": id.description]) else {
          return false
        }
        try admit(SQLiteUploadStore.storedBytes(of: row["owner"], in: db))
      }
      try db.execute(
        sql: Statements.announcePartial,
        arguments: ["id": id.description, "length": length, "now": now.milliseconds])
      return db.changesCount > 0
    }
  }

  func advance(_ id: Identifier, to offset: Int, length: Int?, at now: Timestamp) async throws -> Bool {
    try await database.write { db in
      try db.execute(
        sql: Statements.advancePartial,
        arguments: ["id": id.description, "received": offset, "length": length, "now": now.milliseconds])
      return db.changesCount > 0
    }
  }

  func complete(
    _ upload: Upload, place: @escaping @Sendable () throws -> Void, undo: @escaping @Sendable () -> Void
  ) async throws -> Bool {
    try await database.write(undoing: undo) { db in
      guard try Self.delete(upload.id, in: db) else { return false }
      try SQLiteUploadStore.insert(upload, job: nil, into: db)
      try place()
      return true
    }
  }

  func delete(_ id: Identifier) async throws -> Bool {
    try await database.write { try Self.delete(id, in: $0) }
  }

  func stale(since moment: Timestamp) throws -> [Identifier] {
    try database.read { db in
      try Identifier.fetchAll(db, sql: Statements.stalePartials, arguments: ["before": moment.milliseconds])
    }
  }

  func delete(_ id: Identifier, staleSince moment: Timestamp) throws -> Bool {
    try database.write { db in
      try db.execute(
        sql: Statements.deleteStalePartial, arguments: ["id": id.description, "before": moment.milliseconds])
      return db.changesCount > 0
    }
  }

  func partials() throws -> Set<Identifier> {
    try database.read { Set(try Identifier.fetchAll($0, sql: Statements.partials)) }
  }

  private static func delete(_ id: Identifier, in db: GRDB.Database) throws -> Bool {
    try db.execute(sql: Statements.deletePartial, arguments: ["id": id.description])
    return db.changesCount > 0
  }
}
