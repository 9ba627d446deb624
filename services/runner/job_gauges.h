// What a job in work reports, as gauges for Prometheus: its step, and what its kind measures.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "services/runner/executor.h"
#include "services/runtime/metrics.h"

namespace floe::runner {

// Hands everything on, and keeps floe_runner_job_* at the newest progress: series of one job each,
// with the labels job_id (Prometheus keeps `job` for itself), team and kind. They are there from
// the first progress to this object's end, so that there are only those of jobs in work. Of a job's
// metrics only the named ones are told (job_gauges.cc); one that a report leaves out stays.
//
// Thread-safe. Borrows its parts. One object a job at a time.
class JobGauges final : public Reporter {
 public:
  JobGauges(runtime::Metrics& metrics, const Assignment& job, Reporter& next);
  ~JobGauges() override;

  void Progress(jobs::Progress progress) override;
  void Log(std::string_view level, std::string_view text) override { next_.Log(level, text); }
  void Used(int64_t tokens, double flops) override { next_.Used(tokens, flops); }

 private:
  void Set(const std::string& name, const std::string& help, double value);

  runtime::Metrics& metrics_;
  const runtime::Metrics::Labels labels_;
  Reporter& next_;
  std::mutex mutex_;
  std::map<std::string, prometheus::Gauge*> gauges_;  // guarded by mutex_; by name
};

}  // namespace floe::runner
