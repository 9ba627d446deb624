-- The queue of one service. States are written as jobs/job.h names them.
CREATE TABLE jobs (
  id text PRIMARY KEY,
  team text NOT NULL,
  kind text NOT NULL,
  spec text NOT NULL,
  state text NOT NULL
    CHECK (state IN ('QUEUED', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED', 'CANCELLING')),
  attempt integer NOT NULL DEFAULT 0,
  max_attempts integer NOT NULL CHECK (max_attempts > 0),
  handed_back integer NOT NULL DEFAULT 0,
  error text NOT NULL DEFAULT '',
  result text NOT NULL DEFAULT '',
  progress text,  -- JSON of the newest progress event
  creator text NOT NULL,
  request_id text NOT NULL,
  create_time timestamptz NOT NULL,
  start_time timestamptz,
  end_time timestamptz,
  due_time timestamptz NOT NULL,
  runner text NOT NULL DEFAULT '',
  lease_expire_time timestamptz,
  finished_attempt integer NOT NULL DEFAULT 0,
  last_sequence bigint NOT NULL DEFAULT 0,
  reported_sequence bigint NOT NULL DEFAULT 0,
  CHECK ((lease_expire_time IS NOT NULL) = (state IN ('RUNNING', 'CANCELLING'))),
  CHECK ((end_time IS NOT NULL) = (state IN ('SUCCEEDED', 'FAILED', 'CANCELLED')))
);

-- A request id makes one job.
CREATE UNIQUE INDEX jobs_request ON jobs (team, request_id) WHERE request_id <> '';
CREATE INDEX jobs_queued ON jobs (due_time, id) WHERE state = 'QUEUED';
CREATE INDEX jobs_leased ON jobs (lease_expire_time) WHERE state IN ('RUNNING', 'CANCELLING');
CREATE INDEX jobs_of_team ON jobs (team, id);

CREATE TABLE job_events (
  job text NOT NULL REFERENCES jobs ON DELETE CASCADE,
  sequence bigint NOT NULL CHECK (sequence > 0),
  time timestamptz NOT NULL,
  attempt integer NOT NULL,
  what text NOT NULL,  -- JSON with the one member progress, log or state
  PRIMARY KEY (job, sequence)
);
