-- About what a job takes of a runner's memory, so that only one that has it takes the job. 0: not known.
ALTER TABLE jobs ADD COLUMN memory_bytes bigint NOT NULL DEFAULT 0;
