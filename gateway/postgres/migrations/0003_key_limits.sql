-- Until when a key works, and what it narrows its team's policy to: patterns of models, names of tiers. Empty
-- arrays narrow nothing.
ALTER TABLE keys
  ADD COLUMN expire_time timestamptz,
  ADD COLUMN models      text[] NOT NULL DEFAULT '{}',
  ADD COLUMN tiers       text[] NOT NULL DEFAULT '{}';
