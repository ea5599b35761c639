import GRDB

/// The history of the schema. A migration that was released is never edited; a change is a new one.
enum Schema {
  /// Named migrations, in order.
  static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1 jobs, uploads, outputs") { try $0.execute(sql: version1) }
    migrator.registerMigration("2 readiness") { try $0.execute(sql: version2) }
    migrator.registerMigration("3 idempotency, reuse") { try $0.execute(sql: version3) }
    migrator.registerMigration("4 retention") { try $0.execute(sql: version4) }
    migrator.registerMigration("5 access") { try $0.execute(sql: version5) }
    migrator.registerMigration("6 fairness") { try $0.execute(sql: version6) }
    migrator.registerMigration("7 unfinished uploads") { try $0.execute(sql: version7) }
    migrator.registerMigration("8 webhooks") { try $0.execute(sql: version8) }
    migrator.registerMigration("9 inline configs, indexes") { try $0.execute(sql: version9) }
    migrator.registerMigration("10 interruptions") { try $0.execute(sql: version10) }
    migrator.registerMigration("11 metadata of uploads") { try $0.execute(sql: version11) }
    migrator.registerMigration("12 moment of postponing") { try $0.execute(sql: version12) }
    migrator.registerMigration("13 identity of the folder") { try $0.execute(sql: version13) }
    migrator.registerMigration("14 inline configs of ended jobs") { try $0.execute(sql: version14) }
    migrator.registerMigration("15 faults") { try $0.execute(sql: version15) }
    return migrator
  }

  /// Times are milliseconds since 1970. `fence` grows with every change of hands, `attempt` with every start;
  /// `available_at` keeps a job back until then. `uploads.job` is the job that an upload came with, if it did.
  private static let version1 = """
    CREATE TABLE jobs (
      id TEXT NOT NULL PRIMARY KEY,
      status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
      command TEXT NOT NULL,
      model TEXT NOT NULL,
      source_format TEXT NOT NULL,
      target_format TEXT NOT NULL,
      config TEXT NOT NULL,
      checkpoint TEXT NOT NULL,
      options TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      available_at INTEGER NOT NULL,
      started_at INTEGER,
      finished_at INTEGER,
      attempt INTEGER NOT NULL DEFAULT 0,
      fence INTEGER NOT NULL DEFAULT 0,
      worker TEXT,
      lease_until INTEGER,
      progress TEXT,
      warnings TEXT NOT NULL DEFAULT '[]',
      error TEXT
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX jobs_by_status ON jobs (status, id);
    CREATE INDEX jobs_by_model ON jobs (model, id);

    CREATE TABLE uploads (
      id TEXT NOT NULL PRIMARY KEY,
      name TEXT NOT NULL,
      size INTEGER NOT NULL,
      sha256 TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      job TEXT REFERENCES jobs (id) DEFERRABLE INITIALLY DEFERRED
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX uploads_by_job ON uploads (job) WHERE job IS NOT NULL;

    CREATE TABLE job_uploads (
      job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
      upload TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
      PRIMARY KEY (job, upload)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX job_uploads_by_upload ON job_uploads (upload);

    CREATE TABLE outputs (
      job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
      name TEXT NOT NULL,
      size INTEGER NOT NULL,
      sha256 TEXT NOT NULL,
      PRIMARY KEY (job, name)
    ) STRICT, WITHOUT ROWID;
    """

  /// One row that the readiness check writes.
  private static let version2 = """
    CREATE TABLE probe (id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1), written_at INTEGER NOT NULL) STRICT;
    """

  /// `fingerprint` is equal for jobs with equal outputs; a key lives as long as its job.
  private static let version3 = """
    ALTER TABLE jobs ADD COLUMN fingerprint TEXT;
    ALTER TABLE jobs ADD COLUMN reused INTEGER NOT NULL DEFAULT 0 CHECK (reused IN (0, 1));
    CREATE INDEX jobs_by_fingerprint ON jobs (fingerprint, id) WHERE fingerprint IS NOT NULL;

    CREATE TABLE idempotency_keys (
      key TEXT NOT NULL PRIMARY KEY,
      digest TEXT NOT NULL,
      job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX idempotency_keys_by_job ON idempotency_keys (job);
    """

  /// A pinned job does not expire.
  private static let version4 = """
    ALTER TABLE jobs ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1));
    CREATE INDEX jobs_by_end ON jobs (finished_at) WHERE finished_at IS NOT NULL AND pinned = 0;
    CREATE INDEX uploads_by_creation ON uploads (created_at);
    """

  /// Tokens without their secrets; a name is that of one living token at a time. `owner` is the name of a token. An
  /// idempotency key belongs to its owner, `''` for those who need no token.
  private static let version5 = """
    CREATE TABLE tokens (
      id TEXT NOT NULL PRIMARY KEY,
      name TEXT NOT NULL,
      digest TEXT NOT NULL UNIQUE CHECK (length(digest) = 64),
      scopes TEXT NOT NULL,
      team TEXT,
      created_at INTEGER NOT NULL,
      expires_at INTEGER,
      last_used_at INTEGER,
      revoked_at INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX tokens_by_living_name ON tokens (name) WHERE revoked_at IS NULL;
    CREATE INDEX tokens_by_lookup ON tokens (substr(digest, 1, 16));

    ALTER TABLE jobs ADD COLUMN owner TEXT;
    ALTER TABLE jobs ADD COLUMN team TEXT;
    ALTER TABLE uploads ADD COLUMN owner TEXT;
    ALTER TABLE uploads ADD COLUMN team TEXT;
    CREATE INDEX jobs_by_owner ON jobs (owner, id);

    CREATE TABLE keys_of_owners (
      owner TEXT NOT NULL,
      key TEXT NOT NULL,
      digest TEXT NOT NULL,
      job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
      PRIMARY KEY (owner, key)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO keys_of_owners SELECT '', key, digest, job FROM idempotency_keys;
    DROP TABLE idempotency_keys;
    ALTER TABLE keys_of_owners RENAME TO idempotency_keys;
    CREATE INDEX idempotency_keys_by_job ON idempotency_keys (job);
    """

  /// `input_bytes` is NULL when an input is a download. Owners with a smaller `turn` are served first.
  private static let version6 = """
    ALTER TABLE jobs ADD COLUMN input_bytes INTEGER;
    CREATE INDEX uploads_by_owner ON uploads (owner);
    CREATE TABLE turns (owner TEXT NOT NULL PRIMARY KEY, turn INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    """

  /// Uploads that are sent in several requests. `length` is null until the client says it, `received` counts bytes that are
  /// on the disk for good, `updated_at` is when the last of them arrived.
  private static let version7 = """
    CREATE TABLE partial_uploads (
      id TEXT NOT NULL PRIMARY KEY,
      name TEXT NOT NULL,
      length INTEGER,
      received INTEGER NOT NULL,
      metadata TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      updated_at INTEGER NOT NULL,
      owner TEXT,
      team TEXT
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX partial_uploads_by_update ON partial_uploads (updated_at);
    CREATE INDEX partial_uploads_by_owner ON partial_uploads (owner);
    """

  /// Who is told of the end of a job. A trigger, so that no way of ending a job forgets it. `webhook` is what the client
  /// asked for, `webhook_report` what came of it; the origin is apart because receivers take turns.
  private static let version8 = """
    ALTER TABLE jobs ADD COLUMN webhook TEXT;
    ALTER TABLE jobs ADD COLUMN webhook_state TEXT
      CHECK (webhook_state IN ('waiting', 'pending', 'delivered', 'failed'));
    ALTER TABLE jobs ADD COLUMN webhook_origin TEXT;
    ALTER TABLE jobs ADD COLUMN webhook_due INTEGER;
    ALTER TABLE jobs ADD COLUMN webhook_report TEXT;
    CREATE INDEX jobs_by_webhook ON jobs (webhook_due, webhook_origin) WHERE webhook_state = 'pending';

    CREATE TRIGGER webhook_of_ended_job AFTER UPDATE OF status ON jobs
    WHEN NEW.webhook_state = 'waiting' AND NEW.status IN ('succeeded', 'failed', 'cancelled')
    BEGIN
      UPDATE jobs SET webhook_state = 'pending', webhook_due = NEW.finished_at WHERE id = NEW.id;
    END;
    """

  /// The text of an inline config is read by the worker that claims the job, and by nobody after its end; everybody else
  /// reads jobs without it. The indexes find what listings, claims and limits ask for, however many jobs are kept.
  private static let version9 = """
    CREATE TABLE inline_configs (
      job TEXT NOT NULL PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
      text TEXT NOT NULL
    ) STRICT;
    INSERT INTO inline_configs SELECT id, config ->> '$.inline' FROM jobs
    WHERE config ->> '$.inline' IS NOT NULL AND status IN ('queued', 'running');
    UPDATE jobs SET config = json_remove(config, '$.inline') WHERE config ->> '$.inline' IS NOT NULL;
    CREATE TRIGGER inline_config_of_ended_job AFTER UPDATE OF status ON jobs
    WHEN NEW.status IN ('succeeded', 'failed', 'cancelled')
    BEGIN
      DELETE FROM inline_configs WHERE job = NEW.id;
    END;

    CREATE INDEX jobs_by_model_and_status ON jobs (model, status, id);
    CREATE INDEX jobs_by_owner_and_status ON jobs (owner, status, id);
    CREATE INDEX jobs_by_team ON jobs (team, id);
    CREATE INDEX jobs_by_team_and_status ON jobs (team, status, id);
    CREATE INDEX jobs_to_claim ON jobs (status, id, owner, input_bytes, available_at, created_at)
      WHERE status = 'queued';
    """

  /// `interruptions` counts attempts that ended with their process, `retries` those that ended with a fault that may pass.
  private static let version10 = """
    ALTER TABLE jobs ADD COLUMN interruptions INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;
    DROP INDEX jobs_to_claim;
    CREATE INDEX jobs_to_claim ON jobs (status, id, owner, input_bytes, available_at, created_at, interruptions)
      WHERE status = 'queued';
    CREATE INDEX jobs_suspected ON jobs (status) WHERE interruptions >= 2;
    """

  /// `Upload-Metadata` outlives the end of an upload.
  private static let version11 = """
    ALTER TABLE uploads ADD COLUMN metadata TEXT NOT NULL DEFAULT '';
    """

  /// `postponed_at` tells a pause that is not over from a wall clock that was set back.
  private static let version12 = """
    ALTER TABLE jobs ADD COLUMN postponed_at INTEGER NOT NULL DEFAULT 0;
    DROP INDEX jobs_to_claim;
    CREATE INDEX jobs_to_claim
      ON jobs (status, id, owner, input_bytes, available_at, created_at, interruptions, postponed_at)
      WHERE status = 'queued';
    """

  /// One row: which data folder this is, and whether it asks for tokens.
  private static let version13 = """
    CREATE TABLE folder (
      id TEXT NOT NULL,
      requires_tokens INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    INSERT INTO folder (id) VALUES (lower(hex(randomblob(16))));
    """

  /// A job can be run again after its end, so the text of an inline config goes with its job.
  private static let version14 = """
    DROP TRIGGER inline_config_of_ended_job;
    """

  /// `error` is a `Fault`, and no longer the problem document of the REST API, which is made of it. What is no JSON stays as
  /// it is; its job cannot be read before and after.
  private static let version15 = """
    UPDATE jobs SET error = json_remove(
      json_set(error, '$.message', error ->> '$.detail', '$.findings', json(error -> '$.diagnostics')),
      '$.type', '$.title', '$.status', '$.detail', '$.diagnostics')
    WHERE json_valid(error) AND error ->> '$.detail' IS NOT NULL;
    """
}
