-- A closed month. It bears the month's usage up to transaction `cut`, and usage of months closed before
-- that arrived behind their own cut.
CREATE TABLE invoice (
  team text NOT NULL,
  month date NOT NULL,
  cut bigint NOT NULL,
  exact_total numeric(39, 0) NOT NULL,
  total numeric(39, 0) NOT NULL,
  rounding_transaction_id bigint,
  issue_time timestamptz NOT NULL,
  PRIMARY KEY (team, month)
);
CREATE TRIGGER invoice_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON invoice
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The month whose invoice bears an event: its own until that is issued without it, else the first issued
-- one with a cut behind the event, else the month after the last issued one.
CREATE FUNCTION billing_month(of_team text, occurred_at timestamptz, transaction_id bigint)
  RETURNS date LANGUAGE sql STABLE
  RETURN (SELECT CASE
    WHEN NOT EXISTS (SELECT FROM invoice i WHERE i.team = of_team AND i.month = own.month) THEN own.month
    ELSE coalesce(
      (SELECT min(i.month) FROM invoice i WHERE i.team = of_team AND i.month >= own.month
         AND i.cut >= transaction_id),
      (SELECT (max(i.month) + interval '1 month')::date FROM invoice i
         WHERE i.team = of_team AND i.month >= own.month))
    END
  FROM (SELECT date_trunc('month', occurred_at AT TIME ZONE 'UTC')::date AS month) own);

CREATE TABLE training_cost (
  id text PRIMARY KEY,
  team text NOT NULL,
  model text NOT NULL,
  model_version text NOT NULL,
  job text NOT NULL,
  amount numeric(39, 0) NOT NULL CHECK (amount > 0),
  start_time timestamptz NOT NULL,
  days integer NOT NULL CHECK (days > 0),
  description text NOT NULL,
  request_id text UNIQUE
);
CREATE TRIGGER training_cost_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON training_cost
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
