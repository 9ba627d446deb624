-- Ids that people choose are compared byte by byte (COLLATE "C"), so that pages follow one order
-- whatever the database's own collation is.

CREATE TABLE blobs (
  digest      text PRIMARY KEY CHECK (digest ~ '^[0-9a-f]{64}$'),
  size_bytes  bigint NOT NULL CHECK (size_bytes >= 0),
  create_time timestamptz NOT NULL,
  touch_time  timestamptz NOT NULL,  -- last time that someone sent it: collection waits from here
  damage_time timestamptz            -- when its bytes were found changed on disk
);

-- Which team may read which blob: it sent the bytes, or a resource of its own holds them.
CREATE TABLE blob_links (
  team   text COLLATE "C" NOT NULL,
  digest text NOT NULL REFERENCES blobs ON DELETE CASCADE,
  PRIMARY KEY (team, digest)
);
CREATE INDEX blob_links_by_digest ON blob_links (digest);

CREATE TABLE datasets (
  revision    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  team        text COLLATE "C" NOT NULL,
  dataset     text COLLATE "C" NOT NULL,
  digest      text NOT NULL REFERENCES blobs,
  format      text NOT NULL,
  documents   bigint NOT NULL,
  description text NOT NULL,
  creator     text NOT NULL,
  create_time timestamptz NOT NULL,
  UNIQUE (team, dataset, digest)
);
CREATE INDEX datasets_by_digest ON datasets (digest);

CREATE TABLE tokenizers (
  revision        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  team            text COLLATE "C" NOT NULL,
  tokenizer       text COLLATE "C" NOT NULL,
  digest          text NOT NULL REFERENCES blobs,
  config_digest   text REFERENCES blobs,
  vocab_size      bigint NOT NULL,
  dataset_digest  text NOT NULL,
  job             text NOT NULL,
  bytes_per_token double precision NOT NULL,
  creator         text NOT NULL,
  create_time     timestamptz NOT NULL,
  UNIQUE (team, tokenizer, digest)
);
CREATE INDEX tokenizers_by_digest ON tokenizers (digest);
CREATE INDEX tokenizers_by_config ON tokenizers (config_digest);

CREATE TABLE models (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  team         text COLLATE "C" NOT NULL,
  model        text COLLATE "C" NOT NULL,
  next_version bigint NOT NULL DEFAULT 1,  -- numbers of deleted versions are not given again
  create_time  timestamptz NOT NULL,
  UNIQUE (team, model)
);

CREATE TABLE model_versions (
  id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  model_id         bigint NOT NULL REFERENCES models,
  version          bigint NOT NULL CHECK (version > 0),
  digest           text NOT NULL REFERENCES blobs,  -- of the manifest, which is a blob too
  manifest         text NOT NULL,
  parent_digest    text NOT NULL,
  dataset_digest   text NOT NULL,
  tokenizer_digest text NOT NULL,
  job              text NOT NULL,
  parameters       bigint NOT NULL,
  creator          text NOT NULL,
  create_time      timestamptz NOT NULL,
  UNIQUE (model_id, version),
  UNIQUE (model_id, digest)
);
CREATE INDEX model_versions_by_digest ON model_versions (digest);
CREATE INDEX model_versions_by_parent ON model_versions (parent_digest) WHERE parent_digest <> '';

CREATE TABLE version_files (
  version_id bigint NOT NULL REFERENCES model_versions ON DELETE CASCADE,
  name       text COLLATE "C" NOT NULL,
  digest     text NOT NULL REFERENCES blobs,
  size_bytes bigint NOT NULL,
  PRIMARY KEY (version_id, name)
);
CREATE INDEX version_files_by_digest ON version_files (digest);

CREATE TABLE version_metrics (
  version_id bigint NOT NULL REFERENCES model_versions ON DELETE CASCADE,
  name       text COLLATE "C" NOT NULL,
  value      double precision NOT NULL,
  PRIMARY KEY (version_id, name)
);

-- Versions do not change once they are there; only deletion is left.
CREATE FUNCTION refuse_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a row of % is immutable', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER immutable BEFORE UPDATE ON model_versions
  FOR EACH ROW EXECUTE FUNCTION refuse_update();
CREATE TRIGGER immutable BEFORE UPDATE ON version_files
  FOR EACH ROW EXECUTE FUNCTION refuse_update();
CREATE TRIGGER immutable BEFORE UPDATE ON version_metrics
  FOR EACH ROW EXECUTE FUNCTION refuse_update();

CREATE TABLE aliases (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  model_id   bigint NOT NULL REFERENCES models,
  alias      text COLLATE "C" NOT NULL,
  version_id bigint NOT NULL REFERENCES model_versions,  -- a version with an alias cannot go
  move_id    bigint NOT NULL,                            -- the newest of alias_moves
  UNIQUE (model_id, alias)
);
CREATE INDEX aliases_by_version ON aliases (version_id);

-- Append-only. Numbers and digests, not references: history outlives the versions it tells of.
CREATE TABLE alias_moves (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  alias_id     bigint NOT NULL REFERENCES aliases,
  from_version bigint NOT NULL,  -- 0: the alias was made
  to_version   bigint NOT NULL,
  to_digest    text NOT NULL,
  actor        text NOT NULL,
  reason       text NOT NULL,
  time         timestamptz NOT NULL
);
CREATE INDEX alias_moves_by_alias ON alias_moves (alias_id, id DESC);
CREATE TRIGGER immutable BEFORE UPDATE ON alias_moves
  FOR EACH ROW EXECUTE FUNCTION refuse_update();

-- First answers to request ids: repeating a change finds the row that it made.
CREATE TABLE requests (
  team        text COLLATE "C" NOT NULL,
  method      text COLLATE "C" NOT NULL,
  request_id  text COLLATE "C" NOT NULL,
  fingerprint text NOT NULL,
  answer      bigint NOT NULL,
  create_time timestamptz NOT NULL,
  PRIMARY KEY (team, method, request_id)
);
CREATE INDEX requests_by_time ON requests (create_time);

-- Every blob that a resource holds.
CREATE VIEW blob_references AS
  SELECT digest FROM datasets
  UNION ALL SELECT digest FROM tokenizers
  UNION ALL SELECT config_digest FROM tokenizers WHERE config_digest IS NOT NULL
  UNION ALL SELECT digest FROM model_versions
  UNION ALL SELECT digest FROM version_files;

-- What the repository reads, a row an answer. Times are microseconds since 1970.

CREATE VIEW dataset_details AS
  SELECT d.revision, d.team, d.dataset, d.digest, b.size_bytes, d.format, d.documents,
         d.description, d.creator,
         (extract(epoch FROM d.create_time) * 1000000)::bigint AS create_micros
  FROM datasets d JOIN blobs b USING (digest);

CREATE VIEW tokenizer_details AS
  SELECT revision, team, tokenizer, digest, coalesce(config_digest, '') AS config_digest,
         vocab_size, dataset_digest, job, bytes_per_token::text AS bytes_per_token, creator,
         (extract(epoch FROM create_time) * 1000000)::bigint AS create_micros
  FROM tokenizers;

-- With the names under which the version's own team has registered its dataset and tokenizer.
CREATE VIEW version_details AS
  SELECT v.id, m.team, m.model, v.version, v.digest, v.manifest, v.parent_digest, v.dataset_digest,
         v.tokenizer_digest, v.job, v.parameters, v.creator,
         (extract(epoch FROM v.create_time) * 1000000)::bigint AS create_micros,
         coalesce((SELECT d.dataset FROM datasets d
                   WHERE d.team = m.team AND d.digest = v.dataset_digest
                   ORDER BY d.revision LIMIT 1), '') AS dataset,
         coalesce((SELECT t.tokenizer FROM tokenizers t
                   WHERE t.team = m.team AND t.digest = v.tokenizer_digest
                   ORDER BY t.revision LIMIT 1), '') AS tokenizer
  FROM model_versions v JOIN models m ON m.id = v.model_id;

CREATE VIEW model_details AS
  SELECT m.id, m.team, m.model, (extract(epoch FROM m.create_time) * 1000000)::bigint AS create_micros,
         (SELECT count(*) FROM model_versions v WHERE v.model_id = m.id) AS version_count,
         (SELECT coalesce(max(v.version), 0) FROM model_versions v WHERE v.model_id = m.id)
           AS latest_version
  FROM models m;

CREATE VIEW alias_move_details AS
  SELECT s.id, s.alias_id, m.team, m.model, a.alias, s.from_version, s.to_version, s.to_digest,
         s.actor, s.reason, (extract(epoch FROM s.time) * 1000000)::bigint AS micros
  FROM alias_moves s JOIN aliases a ON a.id = s.alias_id JOIN models m ON m.id = a.model_id;
