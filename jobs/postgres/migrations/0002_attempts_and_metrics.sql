-- Pausing; what is remembered of each attempt; measurements as rows.
ALTER TABLE jobs DROP CONSTRAINT jobs_state_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_state_check CHECK (state IN
  ('QUEUED', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED', 'CANCELLING', 'PAUSING', 'PAUSED'));
ALTER TABLE jobs DROP CONSTRAINT jobs_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_lease_check CHECK
  ((lease_expire_time IS NOT NULL) = (state IN ('RUNNING', 'CANCELLING', 'PAUSING')));
DROP INDEX jobs_leased;
CREATE INDEX jobs_leased ON jobs (lease_expire_time)
  WHERE state IN ('RUNNING', 'CANCELLING', 'PAUSING');

CREATE TABLE job_attempts (
  job text NOT NULL REFERENCES jobs ON DELETE CASCADE,
  attempt integer NOT NULL CHECK (attempt > 0),
  runner text NOT NULL,
  start_time timestamptz,  -- null: began before this table was there
  end_time timestamptz,    -- null: runs
  outcome text NOT NULL DEFAULT '',
  reason text NOT NULL DEFAULT '',
  PRIMARY KEY (job, attempt)
);

-- One row a reported step. A step that is done again replaces its row and all behind it.
CREATE TABLE job_metrics (
  job text NOT NULL REFERENCES jobs ON DELETE CASCADE,
  step bigint NOT NULL CHECK (step > 0),
  time timestamptz NOT NULL,
  attempt integer NOT NULL,
  metrics jsonb NOT NULL,  -- numbers; "NaN", "Infinity" and "-Infinity" where JSON has none
  PRIMARY KEY (job, step)
);

-- The same for people and dashboards, with a column for each thing that training measures.
-- held_out_loss stands at the steps where it was measured.
CREATE VIEW training_metrics AS
  SELECT job, step, time, attempt,
         (metrics ->> 'tokens')::double precision AS tokens,
         (metrics ->> 'loss')::double precision AS loss,
         CASE WHEN (metrics ->> 'held_out_step')::double precision = step
              THEN (metrics ->> 'held_out_loss')::double precision END AS held_out_loss,
         (metrics ->> 'learning_rate')::double precision AS learning_rate,
         (metrics ->> 'grad_norm')::double precision AS gradient_norm,
         (metrics ->> 'tokens_per_second')::double precision AS tokens_per_second,
         (metrics ->> 'gflops')::double precision AS gflops,
         (metrics ->> 'peak_memory_bytes')::double precision AS peak_memory_bytes
  FROM job_metrics
  WHERE metrics ? 'loss';
