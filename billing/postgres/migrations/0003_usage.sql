-- What was used and what it costs: one row an event, its charge lines in arrays of equal length.
CREATE TABLE usage_event (
  usage_id text PRIMARY KEY,
  transaction_id bigint NOT NULL,          -- of the charge; grows with the order of arrival
  credit_transaction_id bigint,            -- of the tier credit
  fingerprint bigint NOT NULL,
  occurred_at timestamptz NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now(),
  tenant text NOT NULL,
  team text NOT NULL,
  key_id text NOT NULL,
  gateway text NOT NULL,
  operation text NOT NULL,
  model text NOT NULL,
  model_version text NOT NULL,
  checkpoint_digest text NOT NULL,
  tier text NOT NULL,
  served_tier text NOT NULL,
  price_book text NOT NULL,
  policy_version text NOT NULL,
  input_tokens bigint NOT NULL,
  cached_input_tokens bigint NOT NULL,
  output_tokens bigint NOT NULL,
  cached_output_tokens bigint NOT NULL,
  calls bigint NOT NULL,
  arrived_tokens bigint NOT NULL,
  cache_hit boolean NOT NULL,
  outcome text NOT NULL,
  workflow_id text NOT NULL,
  parent_id text NOT NULL,
  step text NOT NULL,
  tags jsonb NOT NULL,
  request_id text NOT NULL,
  trace_id text NOT NULL,
  queue_us bigint NOT NULL,
  first_token_us bigint NOT NULL,
  total_us bigint NOT NULL,
  slices text[] NOT NULL,
  line_kind text[] NOT NULL,
  line_quantity bigint[] NOT NULL,
  line_price numeric[] NOT NULL,
  line_amount numeric[] NOT NULL,
  line_cost numeric[] NOT NULL,
  charge numeric(39, 0) NOT NULL,
  credit numeric(39, 0) NOT NULL CHECK (credit >= 0 AND credit <= charge)
);
CREATE INDEX usage_event_occurred_at ON usage_event USING brin (occurred_at);
CREATE INDEX usage_event_workflow ON usage_event (team, workflow_id) WHERE workflow_id <> '';
CREATE TRIGGER usage_event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON usage_event
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Events without a price yet. They leave when they are charged.
CREATE TABLE parked_usage (
  LIKE usage_event,
  reason text NOT NULL,
  PRIMARY KEY (usage_id)
);
ALTER TABLE parked_usage ALTER COLUMN transaction_id DROP NOT NULL,
                         ALTER COLUMN received_at SET DEFAULT now();

-- The same id with other content: the first one stands, and VerifyUsage reports the rest.
CREATE TABLE usage_conflict (
  usage_id text NOT NULL,
  fingerprint bigint NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (usage_id, fingerprint)
);
CREATE TRIGGER usage_conflict_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON usage_conflict
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- One row a line and one a credit; an event without lines is one row with an empty kind.
CREATE VIEW usage_line AS
  SELECT u.*, coalesce(l.ord, 1) AS ord, coalesce(l.kind, '') AS kind,
         coalesce(l.quantity, 0) AS quantity, coalesce(l.price, 0) AS price,
         coalesce(l.amount, 0) AS amount, coalesce(l.cost, 0) AS cost
  FROM usage_event u
  LEFT JOIN LATERAL unnest(u.line_kind, u.line_quantity, u.line_price, u.line_amount, u.line_cost)
    WITH ORDINALITY AS l (kind, quantity, price, amount, cost, ord) ON true
  UNION ALL
  SELECT u.*, 0, 'tier_credit', 0, 0, -u.credit, 0 FROM usage_event u WHERE u.credit <> 0;

CREATE TABLE worker_attempt (
  attempt_id text PRIMARY KEY,
  usage_id text NOT NULL,
  worker text NOT NULL,
  checkpoint_digest text NOT NULL,
  started_at timestamptz NOT NULL,
  prompt_tokens bigint NOT NULL,
  prefix_cached_tokens bigint NOT NULL,
  computed_tokens bigint NOT NULL,
  sent_tokens bigint NOT NULL,
  outcome text NOT NULL
);
CREATE INDEX worker_attempt_usage ON worker_attempt (usage_id);
CREATE INDEX worker_attempt_started_at ON worker_attempt USING brin (started_at);
CREATE TRIGGER worker_attempt_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON worker_attempt
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
