-- What frozen models scored, by the digests of all that was measured. Append-only; digests and not
-- references, since evidence outlives the versions and datasets that it tells of.
CREATE TABLE evaluations (
  id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  team             text COLLATE "C" NOT NULL,
  evaluation       text COLLATE "C" NOT NULL,  -- follows from the content
  model_digest     text NOT NULL,
  tokenizer_digest text NOT NULL,
  template_digest  text NOT NULL,  -- empty for plain text
  dataset_digest   text NOT NULL,
  task             text NOT NULL,
  examples         bigint NOT NULL,
  tokens           bigint NOT NULL,
  job              text NOT NULL,
  creator          text NOT NULL,
  create_time      timestamptz NOT NULL,
  UNIQUE (team, evaluation)
);
CREATE INDEX evaluations_by_model ON evaluations (team, model_digest, id DESC);
CREATE INDEX evaluations_by_dataset ON evaluations (team, dataset_digest, id DESC);

CREATE TABLE evaluation_metrics (
  evaluation_id bigint NOT NULL REFERENCES evaluations ON DELETE CASCADE,
  name          text COLLATE "C" NOT NULL,
  value         double precision NOT NULL,
  PRIMARY KEY (evaluation_id, name)
);

CREATE TRIGGER immutable BEFORE UPDATE ON evaluations
  FOR EACH ROW EXECUTE FUNCTION refuse_update();
CREATE TRIGGER immutable BEFORE UPDATE ON evaluation_metrics
  FOR EACH ROW EXECUTE FUNCTION refuse_update();

CREATE TABLE gate_policies (
  model_id    bigint PRIMARY KEY REFERENCES models,
  policy      text NOT NULL,  -- as it was written
  gates       text NOT NULL,  -- the same with every dataset pinned, as JSON
  updater     text NOT NULL,
  update_time timestamptz NOT NULL
);

-- A move that the gates had refused, and what they said, a line a number.
ALTER TABLE alias_moves
  ADD COLUMN overridden boolean NOT NULL DEFAULT false,
  ADD COLUMN failures text NOT NULL DEFAULT '';

CREATE OR REPLACE VIEW alias_move_details AS
  SELECT s.id, s.alias_id, m.team, m.model, a.alias, s.from_version, s.to_version, s.to_digest,
         s.actor, s.reason, (extract(epoch FROM s.time) * 1000000)::bigint AS micros,
         s.overridden, s.failures
  FROM alias_moves s JOIN aliases a ON a.id = s.alias_id JOIN models m ON m.id = a.model_id;

-- With the names under which the same team has the version and the dataset.
CREATE VIEW evaluation_details AS
  SELECT e.id, e.team, e.evaluation, e.model_digest, e.tokenizer_digest, e.template_digest,
         e.dataset_digest, e.task, e.examples, e.tokens, e.job, e.creator,
         (extract(epoch FROM e.create_time) * 1000000)::bigint AS create_micros,
         coalesce((SELECT m.model || '/' || v.version FROM model_versions v
                   JOIN models m ON m.id = v.model_id
                   WHERE m.team = e.team AND v.digest = e.model_digest
                   ORDER BY v.id LIMIT 1), '') AS version,
         coalesce((SELECT d.dataset FROM datasets d
                   WHERE d.team = e.team AND d.digest = e.dataset_digest
                   ORDER BY d.revision LIMIT 1), '') AS dataset
  FROM evaluations e;
