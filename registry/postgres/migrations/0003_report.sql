-- What an evaluation found that is no plain number, as JSON; empty where there is nothing more.
ALTER TABLE evaluations ADD COLUMN report text NOT NULL DEFAULT '';

CREATE OR REPLACE VIEW evaluation_details AS
  SELECT e.id, e.team, e.evaluation, e.model_digest, e.tokenizer_digest, e.template_digest,
         e.dataset_digest, e.task, e.examples, e.tokens, e.job, e.creator,
         (extract(epoch FROM e.create_time) * 1000000)::bigint AS create_micros,
         coalesce((SELECT m.model || '/' || v.version FROM model_versions v
                   JOIN models m ON m.id = v.model_id
                   WHERE m.team = e.team AND v.digest = e.model_digest
                   ORDER BY v.id LIMIT 1), '') AS version,
         coalesce((SELECT d.dataset FROM datasets d
                   WHERE d.team = e.team AND d.digest = e.dataset_digest
                   ORDER BY d.revision LIMIT 1), '') AS dataset,
         e.report
  FROM evaluations e;
