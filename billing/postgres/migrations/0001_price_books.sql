-- What never changes is guarded by this trigger function: corrections are new rows.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: % refused; post a correction instead', TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TABLE price_book (
  id text PRIMARY KEY,
  effective_time timestamptz NOT NULL,
  yaml text NOT NULL,
  digest text NOT NULL,
  currency text NOT NULL,
  create_time timestamptz NOT NULL,
  creator text NOT NULL,
  request_id text UNIQUE
);
CREATE INDEX price_book_effective ON price_book (effective_time DESC, create_time DESC, id DESC);
CREATE TRIGGER price_book_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON price_book
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
