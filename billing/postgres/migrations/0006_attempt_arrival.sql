-- When a report came: a request of which something came just now may have more on its way. Those that stand
-- count as come now, once.
ALTER TABLE worker_attempt ADD COLUMN received_at timestamptz NOT NULL DEFAULT now();
