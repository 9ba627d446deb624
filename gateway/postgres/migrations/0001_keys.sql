-- API keys. The secret itself is nowhere: it has 256 random bits, so its SHA-256 cannot be guessed.
CREATE TABLE keys (
  key_id        text        PRIMARY KEY,
  team          text        NOT NULL,
  display_name  text        NOT NULL,
  role          text        NOT NULL CHECK (role IN ('viewer', 'consumer', 'developer', 'admin')),
  prefix        text        NOT NULL,
  secret_sha256 text        NOT NULL UNIQUE CHECK (secret_sha256 ~ '^[0-9a-f]{64}$'),
  request_id    text,
  create_time   timestamptz NOT NULL,
  revoke_time   timestamptz,
  UNIQUE (team, request_id)
);

-- Listing: newest first, as ids are sortable by time.
CREATE INDEX keys_by_team ON keys (team, key_id DESC);
