-- What a worker signs for (billing/receipt.h): all that the attempt took, and its place in the worker's chain.
-- Attempts from before have no chain.
ALTER TABLE worker_attempt
  ADD COLUMN model_tokens bigint NOT NULL DEFAULT 0,
  ADD COLUMN queue_us bigint NOT NULL DEFAULT 0,
  ADD COLUMN prefill_us bigint NOT NULL DEFAULT 0,
  ADD COLUMN decode_us bigint NOT NULL DEFAULT 0,
  ADD COLUMN kv_block_us bigint NOT NULL DEFAULT 0,
  ADD COLUMN chain text NOT NULL DEFAULT '',
  ADD COLUMN sequence bigint NOT NULL DEFAULT 0,
  ADD COLUMN previous_digest text NOT NULL DEFAULT '',
  ADD COLUMN digest text NOT NULL DEFAULT '';
CREATE INDEX worker_attempt_chain ON worker_attempt (chain, sequence) WHERE chain <> '';
-- The digests that came with the answers' last messages.
ALTER TABLE usage_event ADD COLUMN receipts text[] NOT NULL DEFAULT '{}';
ALTER TABLE parked_usage ADD COLUMN receipts text[] NOT NULL DEFAULT '{}';
