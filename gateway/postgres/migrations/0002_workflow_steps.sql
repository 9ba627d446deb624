-- How many steps each workflow has taken, over all gateways. Rows are of use for as long as a workflow goes
-- on; those that nobody touched for a month are removed.
CREATE TABLE workflow_steps (
  team        text        NOT NULL,
  workflow_id text        NOT NULL,
  steps       bigint      NOT NULL CHECK (steps > 0),
  update_time timestamptz NOT NULL,
  PRIMARY KEY (team, workflow_id)
);

CREATE INDEX workflow_steps_by_time ON workflow_steps (update_time);
