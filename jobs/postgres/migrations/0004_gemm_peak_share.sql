-- How near training comes to what the machine makes of the model's products alone, as a column too.
CREATE OR REPLACE VIEW training_metrics AS
  SELECT job, step, time, attempt,
         (metrics ->> 'tokens')::double precision AS tokens,
         (metrics ->> 'loss')::double precision AS loss,
         CASE WHEN (metrics ->> 'held_out_step')::double precision = step
              THEN (metrics ->> 'held_out_loss')::double precision END AS held_out_loss,
         (metrics ->> 'learning_rate')::double precision AS learning_rate,
         (metrics ->> 'grad_norm')::double precision AS gradient_norm,
         (metrics ->> 'tokens_per_second')::double precision AS tokens_per_second,
         (metrics ->> 'gflops')::double precision AS gflops,
         (metrics ->> 'peak_memory_bytes')::double precision AS peak_memory_bytes,
         (metrics ->> 'gemm_peak_share')::double precision AS gemm_peak_share
  FROM job_metrics
  WHERE metrics ? 'loss';
