import API
import GRDB
import Jobs

/// The upload records in SQLite, in the same database as the jobs, so that a job and its uploads are one transaction.
struct SQLiteUploadStore: UploadStore {
  let database: Database

  func insert(_ upload: Upload, admit: StorageCheck?) async throws {
    try await database.write { db in
      try admit?(Self.storedBytes(of: upload.ownership.owner, in: db))
      try Self.insert(upload, job: nil, into: db)
    }
  }

  /// Adds a record inside a transaction; `job` is the job that the upload came with.
  static func insert(_ upload: Upload, job: Identifier?, into db: GRDB.Database) throws {
    try db.execute(
      sql: Statements.insertUpload,
      arguments: [
        "id": upload.id.description, "name": upload.name.description, "size": upload.size, "sha256": upload.sha256,
        "created_at": upload.createdAt.milliseconds, "job": job?.description, "owner": upload.ownership.owner,
        "team": upload.ownership.team, "metadata": upload.metadata,
      ])
  }

  func upload(_ id: Identifier) async throws -> Upload? {
    try await database.read { db in
      try Row.fetchOne(db, sql: Statements.upload, arguments: ["id": id.description]).map(Self.upload)
    }
  }

  func uploads(within reach: Reach, after cursor: Identifier?, limit: Int) async throws -> [Upload] {
    let sql = Statements.uploads(in: "uploads", within: reach, afterCursor: cursor != nil)
    let arguments = reach.arguments + ["cursor": cursor?.description, "limit": limit]
    return try await database.read { try Row.fetchAll($0, sql: sql, arguments: arguments).map(Self.upload) }
  }

  private static func upload(_ row: Row) throws -> Upload {
    guard let id = Identifier(row["id"]), let name = FileName.output(row["name"]) else {
      throw CorruptRow(table: "uploads", id: row["id"])
    }
    return Upload(
      id: id, name: name, size: row["size"], sha256: row["sha256"],
      createdAt: Timestamp(milliseconds: row["created_at"]), metadata: row["metadata"],
      ownership: Ownership(owner: row["owner"], team: row["team"]))
  }

  func storedBytes(of owner: String) async throws -> Int {
    try await database.read { try Self.storedBytes(of: owner, in: $0) }
  }

  /// What an owner stores and is going to store, but for the expected outputs of one job.
  static func storedBytes(of owner: String?, besides job: Identifier? = nil, in db: GRDB.Database) throws -> Int {
    let arguments: StatementArguments = ["owner": owner, "besides": job?.description]
    return try Int.fetchOne(db, sql: Statements.storedBytesOfOwner, arguments: arguments) ?? 0
  }

  func delete(_ id: Identifier) async throws -> UploadDeletion {
    try await database.write { db in
      let arguments: StatementArguments = ["id": id.description]
      if let job = try String.fetchOne(db, sql: Statements.activeJobOfUpload, arguments: arguments)
        .flatMap(Identifier.init)
      {
        return .inUse(by: job)
      }
      try db.execute(sql: Statements.deleteUpload, arguments: arguments)
      return db.changesCount > 0 ? .deleted : .missing
    }
  }

  func expired(unusedSince moment: Timestamp) throws -> [Identifier] {
    try database.read { db in
      try Identifier.fetchAll(db, sql: Statements.expiredUploads, arguments: ["before": moment.milliseconds])
    }
  }

  func delete(_ id: Identifier, unusedSince moment: Timestamp) throws -> Bool {
    try database.write { db in
      try db.execute(
        sql: Statements.deleteExpiredUpload, arguments: ["id": id.description, "before": moment.milliseconds])
      return db.changesCount > 0
    }
  }

  func uploads() throws -> Set<Identifier> {
    try database.read { Set(try Identifier.fetchAll($0, sql: Statements.uploads)) }
  }
}
