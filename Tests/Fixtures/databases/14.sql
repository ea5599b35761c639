CREATE TABLE folder (
  id TEXT NOT NULL,
  requires_tokens INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO "folder" VALUES('222bfe1253d856bd7a301d6cac872fe3',0);
CREATE TABLE grdb_migrations (identifier TEXT NOT NULL PRIMARY KEY);
INSERT INTO "grdb_migrations" VALUES('1 jobs, uploads, outputs');
INSERT INTO "grdb_migrations" VALUES('2 readiness');
INSERT INTO "grdb_migrations" VALUES('3 idempotency, reuse');
INSERT INTO "grdb_migrations" VALUES('4 retention');
INSERT INTO "grdb_migrations" VALUES('5 access');
INSERT INTO "grdb_migrations" VALUES('6 fairness');
INSERT INTO "grdb_migrations" VALUES('7 unfinished uploads');
INSERT INTO "grdb_migrations" VALUES('8 webhooks');
INSERT INTO "grdb_migrations" VALUES('9 inline configs, indexes');
INSERT INTO "grdb_migrations" VALUES('10 interruptions');
INSERT INTO "grdb_migrations" VALUES('11 metadata of uploads');
INSERT INTO "grdb_migrations" VALUES('12 moment of postponing');
INSERT INTO "grdb_migrations" VALUES('13 identity of the folder');
INSERT INTO "grdb_migrations" VALUES('14 inline configs of ended jobs');
CREATE TABLE "idempotency_keys" (
  owner TEXT NOT NULL,
  key TEXT NOT NULL,
  digest TEXT NOT NULL,
  job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE inline_configs (
  job TEXT NOT NULL PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
  text TEXT NOT NULL
) STRICT;
INSERT INTO "inline_configs" VALUES('01m8prkd5gknqnxsy4xzng9a5d','{"model_type": "gpt2", "vocab_size": 11, "n_positions": 8, "n_embd": 4, "n_layer": 1, "n_head": 2, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-05, "tie_word_embeddings": true, "embd_pdrop": 0.1, "attn_pdrop": 0.1, "resid_pdrop": 0.1}');
CREATE TABLE job_uploads (
  job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  upload TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
  PRIMARY KEY (job, upload)
) STRICT, WITHOUT ROWID;
INSERT INTO "job_uploads" VALUES('01m8prkd5gknqnxsy4xzng9a5d','01m8prkd48yhrgx8qymepc4fsv');
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
, fingerprint TEXT, reused INTEGER NOT NULL DEFAULT 0 CHECK (reused IN (0, 1)), pinned INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1)), owner TEXT, team TEXT, input_bytes INTEGER, webhook TEXT, webhook_state TEXT
  CHECK (webhook_state IN ('waiting', 'pending', 'delivered', 'failed')), webhook_origin TEXT, webhook_due INTEGER, webhook_report TEXT, interruptions INTEGER NOT NULL DEFAULT 0, retries INTEGER NOT NULL DEFAULT 0, postponed_at INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;
INSERT INTO "jobs" VALUES('01m8prkd5gknqnxsy4xzng9a5d','failed','convert','gpt2','hf','cs-1.8','{"name":"config.json"}','[{"name":"model.safetensors","upload":"01m8prkd48yhrgx8qymepc4fsv"}]','{"allow_incomplete":false,"drop_unmatched_keys":false,"dtype":"keep","max_shard_size":null,"one_checkpoint":false,"output_format":null,"stream":false,"verify":false}',1796060329136,1796060329136,1796060329362,1796060329526,1,1,NULL,NULL,'{"bytes_done":0,"bytes_total":0,"phases":{"fetching":"2026-11-30T17:38:49.371Z","planning":"2026-11-30T17:38:49.376Z"},"tensors_done":0,"tensors_total":0}','[]','{"code":"keys_unmatched","detail":"Not one key is a hf key of gpt2: --drop-unmatched-keys would leave nothing of the model. Check --model and --src-fmt.","diagnostics":[{"code":"keys_unmatched","message":"Key not matched: x","severity":"error","subject":"x"},{"code":"state_dict_mismatch","message":"''lm_head.weight'' is missing: the config describes a model with this tensor, of shape [11, 4] (vocab_size, n_embd)","rule":"Core/DecoderParts.swift:23","severity":"error","subject":"lm_head.weight"}],"status":422,"title":"Keys of the checkpoint match no rule","type":"urn:zooport:problem:keys_unmatched"}','fb9b7a1edc13a6f47eb1def080ddcf26f7b06f0ae156621f7522c585614bd5f3',0,0,NULL,NULL,73,NULL,NULL,NULL,NULL,NULL,0,0,0);
INSERT INTO "jobs" VALUES('01m8prkd5gknqnxsy4xzng9a5e','failed','convert','gpt2','hf','cs-1.8','{"name":"config.json"}','[{"name":"model.safetensors","upload":"01m8prkd48yhrgx8qymepc4fsv"}]','{"allow_incomplete":false,"drop_unmatched_keys":false,"dtype":"keep","max_shard_size":null,"one_checkpoint":false,"output_format":null,"stream":false,"verify":false}',1796060329136,1796060329136,1796060329362,1796060329526,1,1,NULL,NULL,'{"bytes_done":0,"bytes_total":0,"phases":{"fetching":"2026-11-30T17:38:49.371Z","planning":"2026-11-30T17:38:49.376Z"},"tensors_done":0,"tensors_total":0}','[]','{"code":"limit_reached","detail":"ann would store 2000 bytes with this; a token may store 1000; delete jobs or uploads","diagnostics":[],"limit":{"name":"token-storage-limit","value":1000},"status":507,"title":"Insufficient Storage","type":"urn:zooport:problem:limit_reached"}','fb9b7a1edc13a6f47eb1def080ddcf26f7b06f0ae156621f7522c585614bd5f3',0,0,NULL,NULL,73,NULL,NULL,NULL,NULL,NULL,0,0,0);
INSERT INTO "jobs" VALUES('01m8prkd5gknqnxsy4xzng9a5f','failed','convert','gpt2','hf','cs-1.8','{"name":"config.json"}','[{"name":"model.safetensors","upload":"01m8prkd48yhrgx8qymepc4fsv"}]','{"allow_incomplete":false,"drop_unmatched_keys":false,"dtype":"keep","max_shard_size":null,"one_checkpoint":false,"output_format":null,"stream":false,"verify":false}',1796060329136,1796060329136,1796060329362,1796060329526,1,1,NULL,NULL,'{"bytes_done":0,"bytes_total":0,"phases":{"fetching":"2026-11-30T17:38:49.371Z","planning":"2026-11-30T17:38:49.376Z"},"tensors_done":0,"tensors_total":0}','[]','{','fb9b7a1edc13a6f47eb1def080ddcf26f7b06f0ae156621f7522c585614bd5f3',0,0,NULL,NULL,73,NULL,NULL,NULL,NULL,NULL,0,0,0);
INSERT INTO "jobs" VALUES('01m8prkd5gknqnxsy4xzng9a5g','cancelled','convert','gpt2','hf','cs-1.8','{"name":"config.json"}','[{"name":"model.safetensors","upload":"01m8prkd48yhrgx8qymepc4fsv"}]','{"allow_incomplete":false,"drop_unmatched_keys":false,"dtype":"keep","max_shard_size":null,"one_checkpoint":false,"output_format":null,"stream":false,"verify":false}',1796060329136,1796060329136,1796060329362,1796060329526,1,1,NULL,NULL,'{"bytes_done":0,"bytes_total":0,"phases":{"fetching":"2026-11-30T17:38:49.371Z","planning":"2026-11-30T17:38:49.376Z"},"tensors_done":0,"tensors_total":0}','[]',NULL,'fb9b7a1edc13a6f47eb1def080ddcf26f7b06f0ae156621f7522c585614bd5f3',0,0,NULL,NULL,73,NULL,NULL,NULL,NULL,NULL,0,0,0);
CREATE TABLE outputs (
  job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  size INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  PRIMARY KEY (job, name)
) STRICT, WITHOUT ROWID;
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
CREATE TABLE probe (id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1), written_at INTEGER NOT NULL) STRICT;
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
CREATE TABLE turns (owner TEXT NOT NULL PRIMARY KEY, turn INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "turns" VALUES('',1);
CREATE TABLE uploads (
  id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  size INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  job TEXT REFERENCES jobs (id) DEFERRABLE INITIALLY DEFERRED
, owner TEXT, team TEXT, metadata TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;
INSERT INTO "uploads" VALUES('01m8prkd48yhrgx8qymepc4fsv','model.safetensors',73,'923afdff26d191ef89cab1c147ad085672266f42df37c22394c5b8c7254b91a1',1796060329110,NULL,NULL,NULL,'');
CREATE INDEX jobs_by_status ON jobs (status, id);
CREATE INDEX jobs_by_model ON jobs (model, id);
CREATE INDEX uploads_by_job ON uploads (job) WHERE job IS NOT NULL;
CREATE INDEX job_uploads_by_upload ON job_uploads (upload);
CREATE INDEX jobs_by_fingerprint ON jobs (fingerprint, id) WHERE fingerprint IS NOT NULL;
CREATE INDEX jobs_by_end ON jobs (finished_at) WHERE finished_at IS NOT NULL AND pinned = 0;
CREATE INDEX uploads_by_creation ON uploads (created_at);
CREATE UNIQUE INDEX tokens_by_living_name ON tokens (name) WHERE revoked_at IS NULL;
CREATE INDEX tokens_by_lookup ON tokens (substr(digest, 1, 16));
CREATE INDEX jobs_by_owner ON jobs (owner, id);
CREATE INDEX idempotency_keys_by_job ON idempotency_keys (job);
CREATE INDEX uploads_by_owner ON uploads (owner);
CREATE INDEX partial_uploads_by_update ON partial_uploads (updated_at);
CREATE INDEX partial_uploads_by_owner ON partial_uploads (owner);
CREATE INDEX jobs_by_webhook ON jobs (webhook_due, webhook_origin) WHERE webhook_state = 'pending';
CREATE TRIGGER webhook_of_ended_job AFTER UPDATE OF status ON jobs
WHEN NEW.webhook_state = 'waiting' AND NEW.status IN ('succeeded', 'failed', 'cancelled')
BEGIN
  UPDATE jobs SET webhook_state = 'pending', webhook_due = NEW.finished_at WHERE id = NEW.id;
END;
CREATE INDEX jobs_by_model_and_status ON jobs (model, status, id);
CREATE INDEX jobs_by_owner_and_status ON jobs (owner, status, id);
CREATE INDEX jobs_by_team ON jobs (team, id);
CREATE INDEX jobs_by_team_and_status ON jobs (team, status, id);
CREATE INDEX jobs_suspected ON jobs (status) WHERE interruptions >= 2;
CREATE INDEX jobs_to_claim
  ON jobs (status, id, owner, input_bytes, available_at, created_at, interruptions, postponed_at)
  WHERE status = 'queued';
