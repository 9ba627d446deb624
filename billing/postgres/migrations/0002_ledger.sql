-- Double entry: each transaction's entries sum to zero. Amounts are whole picodollars.
-- No cache: numbers must grow with the order of posting, invoices cut by them.
CREATE SEQUENCE ledger_transaction;

CREATE TABLE ledger_entry (
  transaction_id bigint NOT NULL,
  line smallint NOT NULL,
  kind text NOT NULL,
  source text NOT NULL,          -- usage id, invoice or training cost
  account text NOT NULL,
  amount numeric(39, 0) NOT NULL CHECK (amount <> 0),
  posted_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (transaction_id, line)
);
CREATE INDEX ledger_entry_posted_at ON ledger_entry USING brin (posted_at);

-- Checked at the end of each INSERT over the rows that it brings, so a transaction comes whole in one
-- statement or not at all, and nothing unbalanced can be added to one that stands. (A deferred row trigger
-- would hold the same rule at several times the cost; see docs/decisions.)
CREATE FUNCTION refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  wrong bigint;
BEGIN
  SELECT transaction_id INTO wrong FROM posted
    GROUP BY transaction_id HAVING sum(amount) <> 0 LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'ledger transaction % does not sum to zero', wrong
      USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_zero_sum';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER ledger_zero_sum AFTER INSERT ON ledger_entry
  REFERENCING NEW TABLE AS posted FOR EACH STATEMENT EXECUTE FUNCTION refuse_unbalanced();
CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entry
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
