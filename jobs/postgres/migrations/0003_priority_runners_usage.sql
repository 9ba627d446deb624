-- Priorities; which runners there are; what attempts used, and what of it is not accounted for yet.
ALTER TABLE jobs ADD COLUMN priority integer NOT NULL DEFAULT 0;
DROP INDEX jobs_queued;
CREATE INDEX jobs_queued ON jobs ((-priority), due_time, id) WHERE state = 'QUEUED';

CREATE TABLE runners (
  name text PRIMARY KEY,
  kinds text[] NOT NULL,
  memory_bytes bigint NOT NULL,
  seen_time timestamptz NOT NULL
);

-- An attempt that has ended and is not accounted for waits to be told to billing. Those that ended before
-- this was there are told too: nobody counted what they used.
ALTER TABLE job_attempts
  ADD COLUMN tokens bigint NOT NULL DEFAULT 0,
  ADD COLUMN gigaflop bigint NOT NULL DEFAULT 0,
  ADD COLUMN core_us bigint NOT NULL DEFAULT 0,
  ADD COLUMN accounted boolean NOT NULL DEFAULT false;
CREATE INDEX job_attempts_unaccounted ON job_attempts (end_time, job, attempt)
  WHERE end_time IS NOT NULL AND NOT accounted;
