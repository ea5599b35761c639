/// Every SQL statement of the service but the schema, so that a second database needs one more such page.
enum Statements {
  static let synchronousFull = "PRAGMA synchronous = FULL"

  // Jobs

  static let insertJob = """
    INSERT INTO jobs (id, status, command, model, source_format, target_format, config, checkpoint, options,
      created_at, available_at, fingerprint)
    VALUES (:id, 'queued', :command, :model, :source_format, :target_format, :config, :checkpoint, :options,
      :created_at, :created_at, :fingerprint)
    """
  static let jobOfKey = """
    SELECT jobs.*, idempotency_keys.digest AS key_digest
    FROM idempotency_keys JOIN jobs ON jobs.id = idempotency_keys.job WHERE key = :key
    """
  static let insertKey = "INSERT INTO idempotency_keys (key, digest, job) VALUES (:key, :digest, :job)"
  static let equalJob = """
    SELECT id FROM jobs WHERE fingerprint = :fingerprint AND status = 'succeeded' ORDER BY id DESC LIMIT 1
    """
  static let reuseOutputs = """
    INSERT INTO outputs (job, name, size, sha256) SELECT :id, name, size, sha256 FROM outputs WHERE job = :equal
    """
  static let reuseJob = """
    UPDATE jobs SET status = 'succeeded', reused = 1, finished_at = :now, progress = source.progress,
      warnings = source.warnings
    FROM (SELECT progress, warnings FROM jobs WHERE id = :equal) AS source WHERE jobs.id = :id
    """
  static let insertJobUpload = "INSERT OR IGNORE INTO job_uploads (job, upload) VALUES (:job, :upload)"
  static let job = "SELECT * FROM jobs WHERE id = :id"
  /// The conditions are spelled out instead of `:status IS NULL OR ...`, which would defeat the indexes.
  static func jobs(byStatus: Bool, byModel: Bool, afterCursor: Bool) -> String {
    let conditions = [
      byStatus ? "status = :status" : nil, byModel ? "model = :model" : nil, afterCursor ? "id < :cursor" : nil,
    ].compactMap { $0 }
    let filter = conditions.isEmpty ? "" : " WHERE " + conditions.joined(separator: " AND ")
    return "SELECT * FROM jobs\(filter) ORDER BY id DESC LIMIT :limit"
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
    WHERE finished_at < :before AND pinned = 0 AND status IN ('succeeded', 'failed', 'cancelled')
    """
  static let isExpired = """
    SELECT finished_at < :before AND pinned = 0 AND status IN ('succeeded', 'failed', 'cancelled')
    FROM jobs WHERE id = :id
    """
  static let uploadsOfJob = "SELECT id FROM uploads WHERE job = :job"
  /// Uploads that another job uses as well outlive the job they came with.
  static let adoptSharedUploads = """
    UPDATE uploads SET job = NULL
    WHERE job = :job AND EXISTS (SELECT 1 FROM job_uploads WHERE upload = uploads.id AND job <> :job)
    """
  static let deleteUploadsOfJob = "DELETE FROM uploads WHERE job = :job"
  static let deleteJob = "DELETE FROM jobs WHERE id = :id"

  // Workers

  /// The oldest job that is due. One statement, so that two workers cannot choose the same.
  ///
  /// A job that was never postponed is always due, and no pause reaches beyond `:horizon`: when the wall clock was set
  /// back, no job waits until it has caught up.
  static let claimJob = """
    UPDATE jobs SET status = 'running', started_at = :now, attempt = attempt + 1, fence = fence + 1,
      worker = :worker, lease_until = :lease_until, progress = NULL, error = NULL
    WHERE id = (
      SELECT id FROM jobs
      WHERE status = 'queued'
        AND (available_at <= :now OR available_at = created_at OR available_at > :horizon)
      ORDER BY id LIMIT 1)
    RETURNING *
    """
  static let extendLease = """
    UPDATE jobs SET lease_until = :until WHERE id = :id AND fence = :fence AND status = 'running'
    """
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
      available_at = :until, error = :error
    WHERE id = :id AND fence = :fence AND status = 'running'
    """
  static let failExhausted = """
    UPDATE jobs SET status = 'failed', finished_at = :now, fence = fence + 1, worker = NULL, lease_until = NULL,
      error = :error
    WHERE status = 'running' AND attempt >= :maximum_attempts AND lease_until < :before
    RETURNING id
    """
  static let requeueAbandoned = """
    UPDATE jobs SET status = 'queued', started_at = NULL, fence = fence + 1, worker = NULL, lease_until = NULL
    WHERE status = 'running' AND lease_until < :before
    RETURNING id
    """
  static let activeJobs = """
    SELECT status, model, COUNT(*) AS count FROM jobs WHERE status IN ('queued', 'running') GROUP BY status, model
    """
  /// Ids sort by creation.
  static let oldestQueued = "SELECT created_at FROM jobs WHERE status = 'queued' ORDER BY id LIMIT 1"
  static let probe = """
    INSERT INTO probe (id, written_at) VALUES (1, :now) ON CONFLICT (id) DO UPDATE SET written_at = excluded.written_at
    """
  static let succeededJobs = "SELECT id FROM jobs WHERE status = 'succeeded'"

  // Uploads

  static let insertUpload = """
    INSERT INTO uploads (id, name, size, sha256, created_at, job)
    VALUES (:id, :name, :size, :sha256, :created_at, :job)
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
}
