-- What attempts of jobs used, and what the queues count themselves.
CREATE TABLE job_usage (
  job text NOT NULL,            -- teams/{team}/jobs/{job}
  attempt integer NOT NULL,
  queue text NOT NULL,
  team text NOT NULL,
  kind text NOT NULL,
  runner text NOT NULL,
  started_at timestamptz,
  ended_at timestamptz NOT NULL,
  outcome text NOT NULL,
  made text NOT NULL,           -- resource name; '' unless it succeeded
  tokens bigint NOT NULL CHECK (tokens >= 0),
  gigaflop bigint NOT NULL CHECK (gigaflop >= 0),
  core_us bigint NOT NULL CHECK (core_us >= 0),
  received_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (job, attempt)
);
CREATE INDEX job_usage_team ON job_usage (team, ended_at);
CREATE TRIGGER job_usage_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON job_usage
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The newest word of each queue; a count only grows.
CREATE TABLE job_count (
  queue text NOT NULL,
  team text NOT NULL,
  attempts bigint NOT NULL,
  tokens bigint NOT NULL,
  gigaflop bigint NOT NULL,
  core_us bigint NOT NULL,
  PRIMARY KEY (queue, team)
);
