import API
import Core
import Foundation
import GRDB
import Inputs
import Jobs

/// The job store in SQLite. Every call is one transaction that is on the disk when it returns.
struct SQLiteJobStore: JobStore {
  let database: Database
  private let decoded = DecodedJobs()

  init(database: Database) { self.database = database }

  func insert(
    _ job: Job, bringing uploads: [Upload], key: IdempotencyKey?,
    reuse: JobReuse?, admit: (@Sendable (AdmissionLoad) throws -> Void)?
  ) async throws -> Insertion {
    try await database.write(undoing: { reuse?.undo() }) { db in
      let owner = job.ownership.owner ?? ""
      if let key, let known = try Self.job(ofKey: key.key, owner: owner, in: db) {
        guard known.digest == key.digest else { throw JobStoreError.keyTaken }
        return .repeated(known.job)
      }
      for upload in uploads { try SQLiteUploadStore.insert(upload, job: job.id, into: db) }
      try db.execute(
        sql: Statements.insertJob,
        arguments: [
          "id": job.id.description, "command": job.command.rawValue, "model": job.model,
          "source_format": job.sourceFormat, "target_format": job.targetFormat,
          "config": JSONBody.text(job.config.withoutText), "checkpoint": JSONBody.text(job.checkpoint),
          "options": JSONBody.text(job.options), "created_at": job.createdAt.milliseconds,
          "fingerprint": job.fingerprint, "owner": job.ownership.owner, "team": job.ownership.team,
          "input_bytes": job.inputBytes, "webhook": try job.webhook.map { try JSONBody.text($0.target) },
          "webhook_state": job.webhook?.state.rawValue, "webhook_origin": job.webhook?.target.url.origin,
        ])
      if let text = try job.config.text {
        try db.execute(sql: Statements.insertInlineConfig, arguments: ["job": job.id.description, "text": text])
      }
      for id in job.inputs.compactMap(\.upload) {
        guard try Bool.fetchOne(db, sql: Statements.uploadExists, arguments: ["id": id.description]) == true else {
          throw JobStoreError.unknownUpload(id)
        }
        try db.execute(
          sql: Statements.insertJobUpload, arguments: ["job": job.id.description, "upload": id.description])
      }
      if let key {
        try db.execute(
          sql: Statements.insertKey,
          arguments: ["owner": owner, "key": key.key, "digest": key.digest, "job": job.id.description])
      }
      guard let reuse, let equal = try Self.equal(to: job, within: reuse.reach, in: db), try reuse.share(equal) else {
        try admit?(Self.load(for: job, in: db))
        return .added(job)
      }
      let ids: StatementArguments = ["id": job.id.description, "equal": equal.id.description]
      try db.execute(sql: Statements.reuseOutputs, arguments: ids)
      try db.execute(sql: Statements.reuseJob, arguments: ids + ["now": job.createdAt.milliseconds])
      // Nothing is going to read them.
      try db.execute(sql: Statements.deleteUploadsOfJob, arguments: ["job": job.id.description])
      return .added(try Self.job(job.id, in: db) ?? job)
    }
  }

  func job(ofKey key: String, owner: String?) async throws -> (job: Job, digest: String)? {
    try await database.read { try Self.job(ofKey: key, owner: owner ?? "", in: $0) }
  }

  private static func job(
    ofKey key: String, owner: String, in db: GRDB.Database
  ) throws -> (job: Job, digest: String)? {
    try Row.fetchOne(db, sql: Statements.jobOfKey, arguments: ["owner": owner, "key": key]).map {
      (try job($0, in: db), $0["key_digest"])
    }
  }

  /// The latest succeeded job with the fingerprint of `job`.
  private static func equal(to job: Job, within reach: Reach, in db: GRDB.Database) throws -> Job? {
    guard let fingerprint = job.fingerprint else { return nil }
    return try Row.fetchOne(
      db, sql: Statements.equalJob(within: reach), arguments: ["fingerprint": fingerprint] + reach.arguments
    ).flatMap { try readable($0, in: db) }
  }

  func storedBytes(of owner: String, besides job: Identifier) throws -> Int {
    try database.read { try SQLiteUploadStore.storedBytes(of: owner, besides: job, in: $0) }
  }

  private static func load(for job: Job, in db: GRDB.Database) -> AdmissionLoad {
    let owner = job.ownership.owner
    func count(_ sql: String, _ arguments: StatementArguments = StatementArguments()) throws -> Int {
      try Int.fetchOne(db, sql: sql, arguments: arguments) ?? 0
    }
    return AdmissionLoad(
      queued: { try count(Statements.queuedJobs) },
      ownQueued: { try count(Statements.queuedJobsOfOwner, ["owner": owner]) },
      ownBytes: { try SQLiteUploadStore.storedBytes(of: owner, besides: job.id, in: db) })
  }

  func job(_ id: Identifier) async throws -> Job? {
    try await database.read { db in
      try Self.row(id, in: db).map { row in try decoded.job(id, row) { try Self.job($0, in: db) } }
    }
  }

  func submitted(_ id: Identifier) async throws -> Job? {
    try await database.read { db in try Self.job(id, in: db).map { try Self.withText($0, in: db) } }
  }

  /// The job with the text of its inline config.
  private static func withText(_ job: Job, in db: GRDB.Database) throws -> Job {
    guard job.config.parts.contains(where: { if case .inline = $0 { true } else { false } }) else { return job }
    var job = job
    job.config = try job.config.with(
      text: String.fetchOne(db, sql: Statements.inlineConfig, arguments: ["job": job.id.description]))
    return job
  }

  func counts(matching filter: JobFilter) async throws -> [JobStatus: Int] {
    var filter = filter
    filter.status = nil
    let (sql, arguments) = (Statements.countJobs(matching: filter), Self.arguments(of: filter))
    return try await database.read { db in
      var counts = Dictionary(uniqueKeysWithValues: JobStatus.allCases.map { ($0, 0) })
      for row in try Row.fetchAll(db, sql: sql, arguments: arguments) {
        if let status = JobStatus(rawValue: row["status"]) { counts[status] = row["count"] }
      }
      return counts
    }
  }

  func queue(at now: Timestamp) async throws -> [Identifier] {
    try await database.read { db in
      try Identifier.fetchAll(db, sql: Statements.queueOrder, arguments: ["now": now.milliseconds])
    }
  }

  /// What the conditions of a filter refer to.
  private static func arguments(of filter: JobFilter) -> StatementArguments {
    var arguments = filter.reach.arguments
    if let status = filter.status { arguments += ["status": status.rawValue] }
    if let model = filter.model { arguments += ["model": model] }
    if let owner = filter.owner { arguments += ["of_owner": owner] }
    if let format = filter.sourceFormat { arguments += ["source_format": format] }
    if let format = filter.targetFormat { arguments += ["target_format": format] }
    if let since = filter.since { arguments += ["since": since.milliseconds] }
    if let text = filter.text { arguments += ["text": text] }
    return arguments
  }

  func jobs(matching filter: JobFilter, after cursor: Identifier?, limit: Int) async throws -> [Job] {
    let filtering = Self.arguments(of: filter)
    return try await database.read { db in
      var (found, last, isDone) = ([Job](), cursor, false)
      // Once, unless a row cannot be read: then another takes its place.
      while found.count < limit, !isDone {
        let sql = Statements.jobs(matching: filter, afterCursor: last != nil)
        var arguments: StatementArguments = filtering + ["limit": limit - found.count]
        if let last { arguments += ["cursor": last.description] }
        let rows = try Row.fetchAll(db, sql: sql, arguments: arguments)
        isDone = rows.count < limit - found.count
        last = rows.last.flatMap { Identifier($0["id"]) } ?? last
        found += try rows.compactMap { try Self.readable($0, in: db) }
      }
      return found
    }
  }

  func cancel(_ id: Identifier, at now: Timestamp) async throws -> CancelOutcome {
    try await database.write { db in
      try db.execute(
        sql: Statements.cancelJob, arguments: ["id": id.description, "now": now.milliseconds])
      let isCancelled = db.changesCount > 0
      guard let job = try Self.job(id, in: db) else { return .missing }
      return isCancelled ? .cancelled(job) : .ended(job)
    }
  }

  func delete(_ id: Identifier) async throws -> [Identifier]? {
    try await database.write { db in
      guard try Bool.fetchOne(db, sql: Statements.isEnded, arguments: ["id": id.description]) == true else {
        return nil
      }
      return try Self.delete(id, in: db)
    }
  }

  func pin(_ id: Identifier, _ isPinned: Bool) async throws -> Job? {
    try await database.write { db in
      try db.execute(sql: Statements.pinJob, arguments: ["id": id.description, "pinned": isPinned])
      return try Self.job(id, in: db)
    }
  }

  func expired(endedBefore moment: Timestamp) throws -> [Identifier] {
    try database.read { db in
      try Identifier.fetchAll(db, sql: Statements.expiredJobs, arguments: ["before": moment.milliseconds])
    }
  }

  func brought(by id: Identifier) throws -> [Identifier] {
    try database.read { try Self.brought(by: id, in: $0) }
  }

  private static func brought(by id: Identifier, in db: GRDB.Database) throws -> [Identifier] {
    try Identifier.fetchAll(db, sql: Statements.uploadsOfJob, arguments: ["job": id.description])
  }

  func delete(_ id: Identifier, endedBefore moment: Timestamp) throws -> [Identifier]? {
    try database.write { db in
      let arguments: StatementArguments = ["id": id.description, "before": moment.milliseconds]
      guard try Bool.fetchOne(db, sql: Statements.isExpired, arguments: arguments) == true else { return nil }
      return try Self.delete(id, in: db)
    }
  }

  /// Removes a job. Answers the uploads that came with it and went with it.
  private static func delete(_ id: Identifier, in db: GRDB.Database) throws -> [Identifier] {
    let job: StatementArguments = ["job": id.description]
    try db.execute(sql: Statements.adoptSharedUploads, arguments: job)
    let uploads = try brought(by: id, in: db)
    try db.execute(sql: Statements.deleteUploadsOfJob, arguments: job)
    try db.execute(sql: Statements.deleteJob, arguments: ["id": id.description])
    return uploads
  }

  func claim(
    worker: String, at now: Timestamp, leaseUntil: Timestamp, within bounds: ClaimBounds
  ) throws -> ClaimedJob? {
    let outcome: Result<ClaimedJob, UnreadableJob>? = try database.write { db in
      let row = try Row.fetchOne(
        db, sql: Statements.claimJob,
        arguments: [
          "worker": worker, "now": now.milliseconds, "lease_until": leaseUntil.milliseconds,
          "largest": bounds.largestInput ?? Int.max, "any": bounds.largestInput == nil,
          "running": bounds.runningPerOwner ?? Int.max,
        ])
      guard let row, let id = Identifier(row["id"]) else { return nil }
      let lease = Lease(job: id, fence: row["fence"])
      do {
        let job = try Self.withText(Self.job(row, in: db), in: db)
        try db.execute(sql: Statements.noteTurn, arguments: ["owner": job.ownership.owner ?? ""])
        return .success(ClaimedJob(job: job, lease: lease))
      } catch let error as DatabaseError {
        throw error
      } catch {
        // It would come first again and again, and nobody's job would be run.
        let changes: StatementArguments = [
          "now": now.milliseconds, "progress": nil, "error": try JSONBody.text(Fault.unreadableJob),
        ]
        _ = try Self.update(db, Statements.failJob, lease, changes)
        return .failure(UnreadableJob(id: id, model: row["model"], cause: error))
      }
    }
    return try outcome?.get()
  }

  func holds(_ lease: Lease) throws -> Bool {
    try database.read { db in
      let arguments: StatementArguments = ["id": lease.job.description, "fence": lease.fence]
      return try Bool.fetchOne(db, sql: Statements.holdsLease, arguments: arguments) == true
    }
  }

  func replaceInputs(_ lease: Lease, config: JobInput, checkpoint: [JobInput]) throws -> Bool {
    try database.write { db in
      let changes: StatementArguments = [
        "config": try JSONBody.text(config.withoutText), "checkpoint": try JSONBody.text(checkpoint),
      ]
      return try Self.update(db, Statements.replaceInputs, lease, changes)
    }
  }

  func extend(_ leases: [Lease], until: Timestamp) throws -> [Lease] {
    try database.write { db in
      try leases.filter { lease in
        try !Self.update(db, Statements.extendLease, lease, ["until": until.milliseconds])
      }
    }
  }

  func complete(
    _ lease: Lease, with result: JobResult, at now: Timestamp, publish: () throws -> Void, undo: () -> Void
  ) throws -> Bool {
    var isPublished = false
    // Without a lease nothing is published, and what is there then belongs to another attempt.
    return try database.write(undoing: { if isPublished { undo() } }) { db in
      let changes: StatementArguments = [
        "now": now.milliseconds, "progress": try JSONBody.text(result.progress),
        "warnings": try JSONBody.text(result.warnings),
      ]
      guard try Self.update(db, Statements.completeJob, lease, changes) else { return false }
      for output in result.outputs {
        try db.execute(
          sql: Statements.insertOutput,
          arguments: [
            "job": lease.job.description, "name": output.name.description, "size": output.size,
            "sha256": output.sha256,
          ])
      }
      isPublished = true
      try publish()
      return true
    }
  }

  func fail(
    _ lease: Lease, with error: Fault, progress: JobProgress?, at now: Timestamp
  ) throws -> Bool {
    try database.write { db in
      let changes: StatementArguments = [
        "now": now.milliseconds, "progress": try progress.map { try JSONBody.text($0) },
        "error": try JSONBody.text(error),
      ]
      return try Self.update(db, Statements.failJob, lease, changes)
    }
  }

  func release(_ lease: Lease, isCounted: Bool) throws -> Bool {
    try database.write { db in
      try Self.update(db, Statements.releaseJob, lease, ["uncounted": isCounted ? 0 : 1])
    }
  }

  func postpone(
    _ lease: Lease, at now: Timestamp, until time: Timestamp, because error: Fault, isCounted: Bool
  ) throws -> Bool {
    try database.write { db in
      let changes: StatementArguments = [
        "now": now.milliseconds, "until": time.milliseconds, "error": try JSONBody.text(error),
        "counted": isCounted ? 1 : 0,
      ]
      return try Self.update(db, Statements.postponeJob, lease, changes)
    }
  }

  func requeueAbandoned(before now: Timestamp?, maximumAttempts: Int, at time: Timestamp) throws -> [RequeuedJob] {
    try database.write { db in
      let before = now?.milliseconds ?? Int.max
      func change(_ sql: String, _ arguments: StatementArguments, to status: JobStatus) throws -> [RequeuedJob] {
        try Row.fetchAll(db, sql: sql, arguments: arguments + ["before": before]).compactMap { row in
          Identifier(row["id"]).map { RequeuedJob(id: $0, model: row["model"], status: status) }
        }
      }
      let failed = try change(
        Statements.failExhausted,
        [
          "now": time.milliseconds, "most": Job.interruptionsInCompany + maximumAttempts,
          "error": try JSONBody.text(Fault.interrupted(times: maximumAttempts)),
        ], to: .failed)
      return failed + (try change(Statements.requeueAbandoned, [:], to: .queued))
    }
  }

  func load() async throws -> JobLoad {
    try await database.read { db in
      let active = try Row.fetchAll(db, sql: Statements.activeJobs).compactMap { row in
        JobStatus(rawValue: row["status"]).map { JobLoad.Entry(status: $0, model: row["model"], count: row["count"]) }
      }
      let longestDue = try Int.fetchOne(db, sql: Statements.longestDue)
      return JobLoad(active: active, longestDue: longestDue.map(Timestamp.init(milliseconds:)))
    }
  }

  func probe(at now: Timestamp) async throws {
    try await database.write { db in
      try db.execute(sql: Statements.probe, arguments: ["now": now.milliseconds])
    }
  }

  func succeededJobs() throws -> Set<Identifier> {
    try database.read { Set(try Identifier.fetchAll($0, sql: Statements.succeededJobs)) }
  }

  /// Runs an update that is bound to a lease; false when the lease is stale.
  private static func update(
    _ db: GRDB.Database, _ sql: String, _ lease: Lease, _ arguments: StatementArguments
  ) throws -> Bool {
    try db.execute(sql: sql, arguments: arguments + ["id": lease.job.description, "fence": lease.fence])
    return db.changesCount > 0
  }

  private static func job(_ id: Identifier, in db: GRDB.Database) throws -> Job? {
    try row(id, in: db).map { try job($0, in: db) }
  }

  private static func row(_ id: Identifier, in db: GRDB.Database) throws -> Row? {
    // Polling asks for this all the time; compiling the statement would be half of its cost.
    try Row.fetchOne(try db.cachedStatement(sql: Statements.job), arguments: ["id": id.description])
  }

  /// Reads a row; nil when it cannot be understood, so that one such row hides no other. Throws `DatabaseError`.
  static func readable(_ row: Row, in db: GRDB.Database) throws -> Job? {
    do {
      return try job(row, in: db)
    } catch let error as DatabaseError {
      throw error
    } catch {
      return nil
    }
  }

  /// Reads a row. Throws `CorruptRow` when the database was edited by hand.
  static func job(_ row: Row, in db: GRDB.Database) throws -> Job {
    guard let id = Identifier(row["id"]), let status = JobStatus(rawValue: row["status"]),
      let command = ConversionRequest.Command(rawValue: row["command"])
    else { throw CorruptRow(table: "jobs", id: row["id"]) }
    var job = Job(
      id: id, status: status, command: command, model: row["model"], sourceFormat: row["source_format"],
      targetFormat: row["target_format"], config: try JSONBody.decode(JobInput.self, from: row["config"]),
      checkpoint: try JSONBody.decode([JobInput].self, from: row["checkpoint"]),
      options: try JSONBody.decode(ConversionOptions.self, from: row["options"]),
      createdAt: Timestamp(milliseconds: row["created_at"]))
    job.startedAt = (row["started_at"] as Int?).map(Timestamp.init(milliseconds:))
    job.finishedAt = (row["finished_at"] as Int?).map(Timestamp.init(milliseconds:))
    job.attempt = row["attempt"]
    job.retries = row["retries"]
    job.interruptions = row["interruptions"]
    let due = Timestamp(milliseconds: row["available_at"])
    if status == .queued, due > job.createdAt { job.notBefore = due }
    job.ownership = Ownership(owner: row["owner"], team: row["team"])
    job.inputBytes = row["input_bytes"]
    job.fingerprint = row["fingerprint"]
    job.webhook = try webhook(row)
    job.isReused = row["reused"]
    job.isPinned = row["pinned"]
    job.progress = try (row["progress"] as String?).map { try JSONBody.decode(JobProgress.self, from: $0) }
    job.warnings = try JSONBody.decode([String].self, from: row["warnings"])
    job.error = try (row["error"] as String?).map { try JSONBody.decode(Fault.self, from: $0) }
    if status == .succeeded {
      let outputs = try db.cachedStatement(sql: Statements.outputs)
      job.outputs = try Row.fetchAll(outputs, arguments: ["job": id.description]).map { row in
        guard let name = FileName.output(row["name"]) else { throw CorruptRow(table: "outputs", id: row["job"]) }
        return JobOutput(name: name, size: row["size"], sha256: row["sha256"])
      }
    }
    return job
  }
}

/// A row that no version of the service wrote.
struct CorruptRow: Error {
  let table: String
  let id: String
}

extension Reach {
  /// What the conditions of `Statements` on a reach refer to.
  var arguments: StatementArguments {
    switch self {
    case .everything: [:]
    case .own(let owner): ["owner": owner]
    case .team(let owner, let team): ["owner": owner, "team": team]
    }
  }
}
