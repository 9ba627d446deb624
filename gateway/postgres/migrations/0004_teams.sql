-- Which tenant each team belongs to: one, for good. Budgets and reports by tenant rest on it.
CREATE TABLE teams (
  team   text PRIMARY KEY,
  tenant text NOT NULL
);

INSERT INTO teams (team, tenant) SELECT DISTINCT team, 'default' FROM keys;

ALTER TABLE keys ADD FOREIGN KEY (team) REFERENCES teams (team);
