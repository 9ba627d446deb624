-- Ids that people choose are compared byte by byte (COLLATE "C"), so that pages follow one order
-- whatever the database's own collation is. Every table has the team, and every query names it.

CREATE TABLE collections (
  id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  team              text COLLATE "C" NOT NULL,
  collection        text COLLATE "C" NOT NULL,
  description       text NOT NULL,
  language          regconfig NOT NULL,
  generation        bigint NOT NULL,           -- of the chunks that are searched
  last_generation   bigint NOT NULL,
  embedding_model   text NOT NULL,
  embedding_digest  text NOT NULL,
  chunk_tokens      int NOT NULL,
  overlap_tokens    int NOT NULL,
  target_generation bigint,                    -- of an index that is being made; null: none
  target_model      text NOT NULL DEFAULT '',
  target_digest     text NOT NULL DEFAULT '',
  target_chunk      int NOT NULL DEFAULT 0,
  target_overlap    int NOT NULL DEFAULT 0,
  target_error      text NOT NULL DEFAULT '',
  revision          bigint NOT NULL DEFAULT 0, -- grows with every change of what is searched
  version           bigint NOT NULL DEFAULT 0, -- grows with every change of the settings
  create_time       timestamptz NOT NULL,
  UNIQUE (team, collection),
  UNIQUE (id, team),
  CHECK (target_generation > generation AND target_generation <= last_generation)
);
CREATE INDEX collections_with_target ON collections (id) WHERE target_generation IS NOT NULL;

CREATE TABLE documents (
  id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  team             text COLLATE "C" NOT NULL,
  collection_id    bigint NOT NULL,
  document         text COLLATE "C" NOT NULL,
  title            text NOT NULL,
  format           text NOT NULL,
  source           text NOT NULL,
  content          bytea NOT NULL,
  digest           text NOT NULL,
  built_generation bigint NOT NULL,            -- the newest that its chunks were made for
  update_time      timestamptz NOT NULL,
  UNIQUE (collection_id, document),
  UNIQUE (id, collection_id, team),
  -- A document is its collection's and its collection's team's, by the database's own word.
  FOREIGN KEY (collection_id, team) REFERENCES collections (id, team) ON DELETE CASCADE
);
CREATE INDEX documents_by_generation ON documents (collection_id, built_generation);
-- Text that Postgres could only compress with much effort for little.
ALTER TABLE documents ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE chunks (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- never used twice
  team          text COLLATE "C" NOT NULL,
  collection_id bigint NOT NULL,
  document_id   bigint NOT NULL,
  generation    bigint NOT NULL,
  index         int NOT NULL,
  begin_byte    bigint NOT NULL,
  end_byte      bigint NOT NULL,
  heading       text NOT NULL,
  text          text NOT NULL,
  tokens        int NOT NULL,
  vector        bytea NOT NULL,     -- IEEE 754 singles, little end first; of length 1
  search        tsvector NOT NULL,  -- heading with weight A, text with weight D
  UNIQUE (document_id, generation, index),
  CHECK (0 <= begin_byte AND begin_byte < end_byte),
  CHECK (length(vector) > 0 AND length(vector) % 4 = 0),
  -- A chunk and its vector are one row, and go with their document.
  FOREIGN KEY (document_id, collection_id, team)
    REFERENCES documents (id, collection_id, team) ON DELETE CASCADE
);
CREATE INDEX chunks_by_generation ON chunks (collection_id, generation, id);
CREATE INDEX chunks_search ON chunks USING gin (search);

-- Changes that were made under a request id: repeating one changes nothing.
CREATE TABLE requests (
  team        text COLLATE "C" NOT NULL,
  method      text COLLATE "C" NOT NULL,
  request_id  text COLLATE "C" NOT NULL,
  fingerprint text NOT NULL,
  create_time timestamptz NOT NULL,
  PRIMARY KEY (team, method, request_id)
);
CREATE INDEX requests_by_time ON requests (create_time);

-- What the repositories read, a row an answer. Times are microseconds since 1970.
CREATE VIEW collection_details AS
  SELECT c.*, c.language::text AS language_name,
         (extract(epoch FROM c.create_time) * 1000000)::bigint AS create_micros,
         (SELECT count(*) FROM documents d WHERE d.collection_id = c.id) AS document_count,
         (SELECT count(*) FROM chunks k
          WHERE k.collection_id = c.id AND k.generation = c.generation) AS chunk_count,
         (SELECT count(*) FROM documents d WHERE d.collection_id = c.id
          AND d.built_generation < c.target_generation) AS pending_count
  FROM collections c;

CREATE VIEW document_details AS
  SELECT d.id, d.team, d.collection_id, c.collection, d.document, d.title, d.format, d.source,
         d.digest, length(d.content)::bigint AS size_bytes,
         (extract(epoch FROM d.update_time) * 1000000)::bigint AS update_micros,
         (SELECT count(*) FROM chunks k
          WHERE k.document_id = d.id AND k.generation = c.generation) AS chunk_count
  FROM documents d JOIN collections c ON c.id = d.collection_id;
