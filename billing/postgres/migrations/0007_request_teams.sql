-- A request id belongs to the team that sent it ('': a service of the fleet), and answers only the
-- request that it came with. What stands already: budgets count as the operator's, since a team must
-- not lift what binds it; a fingerprint is unknown ('') and taken to be the same.
ALTER TABLE budget
  ADD COLUMN creator_team text NOT NULL DEFAULT '',
  ADD COLUMN fingerprint text NOT NULL DEFAULT '',
  DROP CONSTRAINT budget_request_id_key,
  ADD CONSTRAINT budget_request UNIQUE (creator_team, request_id);
ALTER TABLE budget ALTER COLUMN creator_team DROP DEFAULT, ALTER COLUMN fingerprint DROP DEFAULT;

ALTER TABLE training_cost
  ADD COLUMN creator_team text NOT NULL DEFAULT '',
  ADD COLUMN fingerprint text NOT NULL DEFAULT '',
  DROP CONSTRAINT training_cost_request_id_key,
  ADD CONSTRAINT training_cost_request UNIQUE (creator_team, request_id);
ALTER TABLE training_cost
  ALTER COLUMN creator_team DROP DEFAULT, ALTER COLUMN fingerprint DROP DEFAULT;
