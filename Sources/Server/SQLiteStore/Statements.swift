import Jobs

/// Every SQL statement of the service but the schema, so that a second database needs one more such page.
enum Statements {
  static let synchronousFull = "PRAGMA synchronous = FULL"

  // The folder

  static let folderID = "SELECT id FROM folder"
  static let insertFolder = "INSERT INTO folder (id) VALUES (?)"
  static let requiresTokens = "SELECT requires_tokens FROM folder"
  static let setRequiresTokens = "UPDATE folder SET requires_tokens = ?"

  // Jobs

  static let insertJob = """
    INSERT INTO jobs (id, status, command, model, source_format, target_format, config, checkpoint, options,
      created_at, available_at, fingerprint, owner, team, input_bytes, webhook, webhook_state, webhook_origin)
    VALUES (:id, 'queued', :command, :model, :source_format, :target_format, :config, :checkpoint, :options,
      :created_at, :created_at, :fingerprint, :owner, :team, :input_bytes, :webhook, :webhook_state, :webhook_origin)
    """
  static let jobOfKey = """
    SELECT jobs.*, idempotency_keys.digest AS key_digest
    FROM idempotency_keys JOIN jobs ON jobs.id = idempotency_keys.job
    WHERE idempotency_keys.owner = :owner AND key = :key
    """
  static let insertKey = """
    INSERT INTO idempotency_keys (owner, key, digest, job) VALUES (:owner, :key, :digest, :job)
    """
  static func equalJob(within reach: Reach) -> String {
    let reach = conditions(of: reach).joined(separator: " OR ")
    return """
      SELECT * FROM jobs
      WHERE fingerprint = :fingerprint AND status = 'succeeded'\(reach.isEmpty ? "" : " AND (\(reach))")
      ORDER BY id DESC LIMIT 1
      """
  }
  /// Records within reach, one condition for each index that finds them; the arguments are `owner` and `team`.
  private static func conditions(of reach: Reach) -> [String] {
    switch reach {
    case .everything: []
    case .own: ["owner = :owner"]
    case .team: ["owner = :owner", "team = :team"]
    }
  }
  static let reuseOutputs = """
    INSERT INTO outputs (job, name, size, sha256) SELECT :id, name, size, sha256 FROM outputs WHERE job = :equal
    """
  static let reuseJob = """
    UPDATE jobs SET status = 'succeeded', reused = 1, finished_at = :now, progress = source.progress,
      warnings = source.warnings
    FROM (SELECT progress, warnings FROM jobs WHERE id = :equal) AS source WHERE jobs.id = :id
    """
  static let insertJobUpload = "INSERT OR IGNORE INTO job_uploads (job, upload) VALUES (:job, :upload)"
  static let insertInlineConfig = "INSERT INTO inline_configs (job, text) VALUES (:job, :text)"
  static let inlineConfig = "SELECT text FROM inline_configs WHERE job = :job"
  static let job = "SELECT * FROM jobs WHERE id = :id"
  /// What a filter asks for beside the reach.
  private static func conditions(of filter: JobFilter) -> [String] {
    [
      filter.status.map { _ in "status = :status" }, filter.model.map { _ in "model = :model" },
      filter.owner.map { _ in "owner = :of_owner" },
      filter.sourceFormat.map { _ in "source_format = :source_format" },
      filter.targetFormat.map { _ in "target_format = :target_format" },
      filter.since.map { _ in "created_at >= :since" },
      filter.text.map { _ in "(substr(id, 1, length(:text)) = :text OR substr(model, 1, length(:text)) = :text)" },
    ].compactMap { $0 }
  }
  static func countJobs(matching filter: JobFilter) -> String {
    let reach = conditions(of: filter.reach).joined(separator: " OR ")
    let all = (reach.isEmpty ? [] : ["(\(reach))"]) + conditions(of: filter)
    return "SELECT status, COUNT(*) AS count FROM jobs\(all.isEmpty ? "" : " WHERE \(all.joined(separator: " AND "))") "
      + "GROUP BY status"
  }
  /// The conditions are spelled out instead of `:status IS NULL OR ...`, and what one index does not find is a query of its
  /// own instead of an `OR`: both would read all jobs. Complexity: O(limit), but O(jobs) for formats, times and text that few
  /// jobs have.
  static func jobs(matching filter: JobFilter, afterCursor: Bool) -> String {
    let conditions = conditions(of: filter) + (afterCursor ? ["id < :cursor"] : [])
    func select(_ columns: String, where reach: String?) -> String {
      let all = ([reach].compactMap { $0 } + conditions).joined(separator: " AND ")
      return "SELECT \(columns) FROM jobs\(all.isEmpty ? "" : " WHERE \(all)") ORDER BY id DESC LIMIT :limit"
    }
    let reach = Self.conditions(of: filter.reach)
    guard reach.count > 1 else { return select("*", where: reach.first) }
    let ids = reach.map { "SELECT id FROM (\(select("id", where: $0)))" }.joined(separator: " UNION ")
    return "SELECT * FROM jobs WHERE id IN (\(ids)) ORDER BY id DESC LIMIT :limit"
  }
  static let outputs = "SELECT * FROM outputs WHERE job = :job ORDER BY name"
  static let cancelJob = """
    UPDATE jobs SET status = 'cancelled', finished_at = :now, fence = fence + 1, worker = NULL, lease_until = NULL,
      error = NULL
    WHERE id = :id AND status IN ('queued', 'running')
    """
  static let isEnded = "SELECT status IN ('succeeded', 'failed', 'cancelled') FROM jobs WHERE id = :id"
  static let pinJob = "UPDATE jobs SET pinned = :pinned WHERE id = :id"
  static let expiredJobs = """
    SELECT id FROM jobs
    WHERE finished_at < :before AND pinned = 0 AND +status IN ('succeeded', 'failed', 'cancelled')
    """
  static let isExpired = """
    SELECT finished_at < :before AND pinned = 0 AND status IN ('succeeded', 'failed', 'cancelled')
    FROM jobs WHERE id = :id
    """
  /// Uploads that another job uses as well outlive the job they came with.
  private static let isShared = "EXISTS (SELECT 1 FROM job_uploads WHERE upload = uploads.id AND job <> :job)"
  static let uploadsOfJob = "SELECT id FROM uploads WHERE job = :job AND NOT \(isShared)"
  static let adoptSharedUploads = "UPDATE uploads SET job = NULL WHERE job = :job AND \(isShared)"
  static let deleteUploadsOfJob = "DELETE FROM uploads WHERE job = :job"
  static let deleteJob = "DELETE FROM jobs WHERE id = :id"

  // Workers

  static let queuedJobs = "SELECT COUNT(*) FROM jobs WHERE status = 'queued'"
  /// `IS`, since NULL stands for nobody.
  static let queuedJobsOfOwner = "SELECT COUNT(*) FROM jobs WHERE status = 'queued' AND owner IS :owner"
  /// Bytes of uploads and outputs of an owner; an unfinished upload counts with all that it was announced to have, and a
  /// job that has not ended, unless it is `:besides`, with as many bytes of outputs as it has of inputs.
  static let storedBytesOfOwner = """
    SELECT (SELECT IFNULL(SUM(size), 0) FROM uploads WHERE owner IS :owner)
      + (SELECT IFNULL(SUM(MAX(received, IFNULL(length, 0))), 0) FROM partial_uploads WHERE owner IS :owner)
      + (SELECT IFNULL(SUM(outputs.size), 0) FROM jobs JOIN outputs ON outputs.job = jobs.id WHERE jobs.owner IS :owner)
      + (SELECT IFNULL(SUM(input_bytes), 0) FROM jobs
        WHERE status IN ('queued', 'running') AND owner IS :owner AND id IS NOT :besides)
    """
  private static let isDue = "(available_at <= :now OR available_at = created_at OR postponed_at > :now)"
  private static let isSuspected = "interruptions >= \(Job.interruptionsInCompany)"
  /// A job that is due, of the owner whose turn it is. One statement, so that two workers cannot choose the same.
  ///
  /// A job that was never postponed is always due, and so is one that was postponed in the future: when the wall clock was
  /// set back, no job waits until it has caught up.
  ///
  /// A job under suspicion runs alone: it begins when nothing runs, nothing begins beside it, and nothing begins while one
  /// is due, or it might never be alone.
  ///
  /// `+owner` keeps the few running jobs from being grouped by way of the index over all jobs. The index named has all
  /// columns that are looked at, so that no row of a queued job is read but the one that is taken.
  /// Complexity: O(n log n) in the queued jobs; 2 ms for 10,000.
  static let claimJob = """
    UPDATE jobs SET status = 'running', started_at = :now, attempt = attempt + 1, fence = fence + 1,
      worker = :worker, lease_until = :lease_until, progress = NULL, error = NULL
    WHERE id = (
      SELECT jobs.id FROM jobs INDEXED BY jobs_to_claim LEFT JOIN turns ON turns.owner = IFNULL(jobs.owner, '')
      WHERE status = 'queued' AND (:any OR input_bytes <= :largest) AND \(isDue)
        AND NOT EXISTS (SELECT 1 FROM jobs INDEXED BY jobs_suspected WHERE status = 'running' AND \(isSuspected))
        AND CASE WHEN \(isSuspected)
          THEN NOT EXISTS (SELECT 1 FROM jobs WHERE status = 'running')
          ELSE NOT EXISTS (
            SELECT 1 FROM jobs INDEXED BY jobs_suspected WHERE status = 'queued' AND \(isSuspected) AND \(isDue))
        END
        AND (jobs.owner IS NULL OR jobs.owner NOT IN (
          SELECT owner FROM jobs WHERE status = 'running' AND owner IS NOT NULL
          GROUP BY +owner HAVING COUNT(*) >= :running))
      ORDER BY IFNULL(turns.turn, 0), jobs.id LIMIT 1)
    RETURNING *
    """
  /// Owners take turns: first the oldest job of each, then the second of each, and so on.
  static let queueOrder = """
    SELECT id FROM (
      SELECT jobs.id AS id, IFNULL(turns.turn, 0) AS turn,
        ROW_NUMBER() OVER (PARTITION BY IFNULL(jobs.owner, '') ORDER BY jobs.id) AS round
      FROM jobs INDEXED BY jobs_to_claim LEFT JOIN turns ON turns.owner = IFNULL(jobs.owner, '')
      WHERE status = 'queued' AND \(isDue))
    ORDER BY round, turn, id
    """
  /// The owner who was served goes to the end.
  static let noteTurn = """
    INSERT INTO turns (owner, turn) VALUES (:owner, (SELECT IFNULL(MAX(turn), 0) + 1 FROM turns))
    ON CONFLICT (owner) DO UPDATE SET turn = excluded.turn
    """
  static let replaceInputs = """
    UPDATE jobs SET config = :config, checkpoint = :checkpoint
    WHERE id = :id AND fence = :fence AND status = 'running'
    """
  static let extendLease = """
    UPDATE jobs SET lease_until = :until WHERE id = :id AND fence = :fence AND status = 'running'
    """
  static let holdsLease = "SELECT EXISTS (SELECT 1 FROM jobs WHERE id = :id AND fence = :fence AND status = 'running')"
  static let completeJob = """
    UPDATE jobs SET status = 'succeeded', finished_at = :now, worker = NULL, lease_until = NULL,
      progress = :progress, warnings = :warnings, error = NULL
    WHERE id = :id AND fence = :fence AND status = 'running'
    """
  static let insertOutput = "INSERT INTO outputs (job, name, size, sha256) VALUES (:job, :name, :size, :sha256)"
  static let failJob = """
    UPDATE jobs SET status = 'failed', finished_at = :now, worker = NULL, lease_until = NULL,
      progress = :progress, error = :error
    WHERE id = :id AND fence = :fence AND status = 'running'
    """
  static let releaseJob = """
    UPDATE jobs SET status = 'queued', started_at = NULL, fence = fence + 1, worker = NULL, lease_until = NULL,
      attempt = attempt - :uncounted
    WHERE id = :id AND fence = :fence AND status = 'running'
    """
  static let postponeJob = """
    UPDATE jobs SET status = 'queued', started_at = NULL, fence = fence + 1, worker = NULL, lease_until = NULL,
      available_at = :until, postponed_at = :now, error = :error, retries = retries + :counted
    WHERE id = :id AND fence = :fence AND status = 'running'
    """
  static let failExhausted = """
    UPDATE jobs SET status = 'failed', finished_at = :now, fence = fence + 1, worker = NULL, lease_until = NULL,
      interruptions = interruptions + 1, error = :error
    WHERE status = 'running' AND interruptions + 1 >= :most AND lease_until < :before
    RETURNING id, model
    """
  static let requeueAbandoned = """
    UPDATE jobs SET status = 'queued', started_at = NULL, fence = fence + 1, worker = NULL, lease_until = NULL,
      interruptions = interruptions + 1
    WHERE status = 'running' AND lease_until < :before
    RETURNING id, model
    """
  static let activeJobs = """
    SELECT status, model, COUNT(*) AS count FROM jobs WHERE status IN ('queued', 'running') GROUP BY status, model
    """
  /// Complexity: O(n) in the queued jobs.
  static let longestDue = "SELECT MIN(available_at) FROM jobs WHERE status = 'queued'"
  static let probe = """
    INSERT INTO probe (id, written_at) VALUES (1, :now) ON CONFLICT (id) DO UPDATE SET written_at = excluded.written_at
    """
  static let succeededJobs = "SELECT id FROM jobs WHERE status = 'succeeded'"

  // Webhooks

  /// The first message is due at once, whatever the clock says: it has no report yet.
  static let dueWebhook = """
    SELECT * FROM jobs
    WHERE webhook_state = 'pending' AND (webhook_due <= :now OR webhook_due > :horizon OR webhook_report IS NULL)
      AND webhook_origin NOT IN (SELECT value FROM json_each(:busy))
      AND IFNULL(owner, '') NOT IN (SELECT value FROM json_each(:resting))
    ORDER BY webhook_due
    """
  static let recordWebhook = """
    UPDATE jobs SET webhook_state = :state, webhook_report = :report, webhook_due = :due WHERE id = :id
    """

  // Uploads

  static let insertUpload = """
    INSERT INTO uploads (id, name, size, sha256, created_at, job, owner, team, metadata)
    VALUES (:id, :name, :size, :sha256, :created_at, :job, :owner, :team, :metadata)
    """
  static let upload = "SELECT * FROM uploads WHERE id = :id"
  static let uploadExists = "SELECT EXISTS (SELECT 1 FROM uploads WHERE id = :id)"
  static let activeJobOfUpload = """
    SELECT jobs.id FROM job_uploads JOIN jobs ON jobs.id = job_uploads.job
    WHERE job_uploads.upload = :id AND jobs.status IN ('queued', 'running') LIMIT 1
    """
  static let deleteUpload = "DELETE FROM uploads WHERE id = :id"
  /// A job without an end still needs its uploads.
  private static let isUnused = """
    created_at < :before AND NOT EXISTS (
      SELECT 1 FROM job_uploads JOIN jobs ON jobs.id = job_uploads.job
      WHERE job_uploads.upload = uploads.id AND (jobs.finished_at IS NULL OR jobs.finished_at >= :before))
    """
  static let expiredUploads = "SELECT id FROM uploads WHERE \(isUnused)"
  static let deleteExpiredUpload = "DELETE FROM uploads WHERE id = :id AND \(isUnused)"
  static let uploads = "SELECT id FROM uploads"

  /// Finished or unfinished uploads, newest first; `table` is which. Complexity: O(limit) for those of an owner.
  static func uploads(in table: String, within reach: Reach, afterCursor: Bool) -> String {
    let reach = conditions(of: reach).joined(separator: " OR ")
    let all = (reach.isEmpty ? [] : ["(\(reach))"]) + (afterCursor ? ["id < :cursor"] : [])
    return "SELECT * FROM \(table)\(all.isEmpty ? "" : " WHERE \(all.joined(separator: " AND "))") "
      + "ORDER BY id DESC LIMIT :limit"
  }

  // Tokens

  static let retireExpiredToken = """
    UPDATE tokens SET revoked_at = expires_at WHERE name = :name AND revoked_at IS NULL AND expires_at <= :now
    """
  static let insertToken = """
    INSERT INTO tokens (id, name, digest, scopes, team, created_at, expires_at)
    VALUES (:id, :name, :digest, :scopes, :team, :created_at, :expires_at)
    """
  static let tokens = "SELECT * FROM tokens ORDER BY id"
  static let revokeToken = """
    UPDATE tokens SET revoked_at = :now WHERE (name = :subject OR id = :subject) AND revoked_at IS NULL RETURNING *
    """
  static let tokensByLookup = "SELECT * FROM tokens WHERE substr(digest, 1, 16) = :lookup"
  static let token = "SELECT * FROM tokens WHERE id = :id"
  static let hasTokens = "SELECT EXISTS (SELECT 1 FROM tokens)"
  static let noteUseOfToken = """
    UPDATE tokens SET last_used_at = :now
    WHERE id = :id AND (last_used_at IS NULL OR last_used_at <= :now - 60000)
    """

  // Unfinished uploads

  static let insertPartial = """
    INSERT INTO partial_uploads (id, name, length, received, metadata, created_at, updated_at,
      owner, team)
    VALUES (:id, :name, :length, :received, :metadata, :created_at, :updated_at,
      :owner, :team)
    """
  static let partial = "SELECT * FROM partial_uploads WHERE id = :id"
  static let advancePartial = """
    UPDATE partial_uploads SET received = :received, length = :length, updated_at = :now WHERE id = :id
    """
  static let announcePartial = """
    UPDATE partial_uploads SET length = :length, updated_at = :now WHERE id = :id AND length IS NULL
    """
  static let deletePartial = "DELETE FROM partial_uploads WHERE id = :id"
  static let stalePartials = "SELECT id FROM partial_uploads WHERE updated_at < :before"
  static let deleteStalePartial = "DELETE FROM partial_uploads WHERE id = :id AND updated_at < :before"
  static let partials = "SELECT id FROM partial_uploads"
}
