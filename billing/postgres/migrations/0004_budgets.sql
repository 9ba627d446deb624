CREATE TABLE budget (
  id text PRIMARY KEY,
  display_name text NOT NULL,
  scope text NOT NULL,
  tenant text NOT NULL,
  team text NOT NULL,
  subject_id text NOT NULL,
  subject text NOT NULL,                  -- Subject::Key
  period text NOT NULL,
  limit_amount numeric(39, 0) NOT NULL CHECK (limit_amount >= 0),
  etag text NOT NULL,
  create_time timestamptz NOT NULL,
  creator text NOT NULL,
  request_id text UNIQUE,
  delete_time timestamptz
);
CREATE INDEX budget_subject ON budget (subject) WHERE delete_time IS NULL;

-- What was spent in a period; its row is also the lock under which slices are given out.
CREATE TABLE budget_period (
  budget_id text NOT NULL REFERENCES budget (id),
  period_start timestamptz NOT NULL,
  spent numeric(39, 0) NOT NULL DEFAULT 0,
  PRIMARY KEY (budget_id, period_start)
);

CREATE TABLE budget_slice (
  id text PRIMARY KEY,                    -- budgets/{budget}/slices/{slice}
  budget_id text NOT NULL REFERENCES budget (id),
  gateway text NOT NULL,
  period_start timestamptz NOT NULL,
  amount numeric(39, 0) NOT NULL CHECK (amount > 0),
  settled numeric(39, 0) NOT NULL DEFAULT 0,
  spent numeric(39, 0) NOT NULL DEFAULT 0,
  expire_time timestamptz NOT NULL,
  state text NOT NULL CHECK (state IN ('open', 'returned', 'written_off')),
  reason text NOT NULL DEFAULT '',
  request_id text UNIQUE,
  create_time timestamptz NOT NULL DEFAULT now(),
  -- HeldBy() of billing/budget.h
  held numeric(39, 0) GENERATED ALWAYS AS (GREATEST(0, CASE state
    WHEN 'open' THEN amount - settled WHEN 'returned' THEN spent - settled ELSE 0 END)) STORED
);
CREATE INDEX budget_slice_held ON budget_slice (budget_id, period_start) WHERE held > 0;
CREATE INDEX budget_slice_budget ON budget_slice (budget_id, create_time DESC);
