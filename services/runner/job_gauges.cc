#include "services/runner/job_gauges.h"

#include <prometheus/gauge.h>

#include <utility>

namespace floe::runner {
namespace {

struct Told {
  const char* metric;  // of jobs::Progress
  const char* name;
  const char* help;
  double unit = 1;  // of the metric, in the gauge's
};

constexpr Told kTold[] = {
    {"loss", "floe_runner_job_loss", "Loss of the newest reported step"},
    {"held_out_loss", "floe_runner_job_held_out_loss", "The newest loss on held-out data"},
    {"learning_rate", "floe_runner_job_learning_rate", "Learning rate of the newest reported step"},
    {"grad_norm", "floe_runner_job_gradient_norm",
     "Norm of the newest reported step's gradient, before clipping"},
    {"tokens_per_second", "floe_runner_job_tokens_per_second",
     "Tokens trained on a second, since the report before"},
    {"gflops", "floe_runner_job_flop_per_second",
     "Floating-point operations a second by the model's formula, since the report before", 1e9},
    {"gemm_peak_share", "floe_runner_job_gemm_peak_ratio",
     "Those operations, of what the machine makes of the model's matrix products alone"},
    {"peak_memory_bytes", "floe_runner_job_peak_memory_bytes",
     "The most memory that the job's processes have held, each one's most summed"},
};

}  // namespace

JobGauges::JobGauges(runtime::Metrics& metrics, const Assignment& job, Reporter& next)
    : metrics_(metrics),
      labels_({{"job_id", job.job_id}, {"team", job.team}, {"kind", job.kind}}),
      next_(next) {}

JobGauges::~JobGauges() {
  for (const auto& [name, gauge] : gauges_) metrics_.RemoveGauge(name, labels_);
}

void JobGauges::Set(const std::string& name, const std::string& help, double value) {
  prometheus::Gauge*& gauge = gauges_[name];
  if (gauge == nullptr) gauge = &metrics_.Gauge(name, help, labels_);
  gauge->Set(value);
}

void JobGauges::Progress(jobs::Progress progress) {
  {
    std::lock_guard lock(mutex_);
    Set("floe_runner_job_step", "The newest reported step", static_cast<double>(progress.step));
    if (progress.steps > 0) {
      Set("floe_runner_job_steps", "Steps that the job has in all",
          static_cast<double>(progress.steps));
    }
    for (const Told& told : kTold) {
      const auto found = progress.metrics.find(told.metric);
      if (found != progress.metrics.end()) Set(told.name, told.help, found->second * told.unit);
    }
  }
  next_.Progress(std::move(progress));
}

}  // namespace floe::runner
