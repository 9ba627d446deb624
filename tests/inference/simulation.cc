#include "tests/inference/simulation.h"

#include <memory>

namespace floe::inference {
namespace {

class Simulation {
 public:
  Simulation(const std::vector<bench::Arrival>& arrivals, const SimulationOptions& options)
      : arrivals_(arrivals),
        started_(clock_.Monotonic()),
        scheduler_(std::make_unique<ModelledEngine>(clock_, options.cost, options.kv_blocks),
                   clock_, WithoutThread(options.scheduler)) {
    result_.outcomes.resize(arrivals.size());
  }

  SimulationResult Run() {
    size_t next = 0;
    bool busy = false;
    while (busy || next < arrivals_.size()) {
      if (!busy && arrivals_[next].at > Now()) clock_.Advance(arrivals_[next].at - Now());
      for (; next < arrivals_.size() && arrivals_[next].at <= Now(); ++next) Submit(next);
      busy = scheduler_.RunOnce();
      TakeSample();
    }
    result_.took = Now();
    result_.stats = scheduler_.stats();
    return std::move(result_);
  }

 private:
  static SchedulerOptions WithoutThread(SchedulerOptions options) {
    options.own_thread = false;
    return options;
  }
  absl::Duration Now() const { return clock_.Monotonic() - started_; }

  void Submit(size_t index) {
    const bench::Arrival& arrival = arrivals_[index];
    Request request;
    request.prompt.assign(static_cast<size_t>(arrival.prompt_tokens), 0);
    request.max_tokens = arrival.answer_tokens;
    request.tier = arrival.tier;
    result_.outcomes[index].tier = arrival.tier;
    const auto id = scheduler_.Submit(std::move(request),
                                      [this, index](const Event& event) { Take(index, event); });
    if (!id.ok()) result_.outcomes[index].refused = true;
  }

  void Take(size_t index, const Event& event) {
    const bench::Arrival& arrival = arrivals_[index];
    bench::Outcome& outcome = result_.outcomes[index];
    const auto tier = static_cast<size_t>(arrival.tier);
    work_.answer_tokens[tier] += static_cast<int64_t>(event.ids.size());
    if (!event.ids.empty() && outcome.first_token == absl::ZeroDuration()) {
      outcome.first_token = Now() - arrival.at;
      work_.prompt_tokens[tier] += arrival.prompt_tokens;
    }
    if (!event.finish) return;
    outcome.refused = !event.finish->status.ok();
    const int64_t further = event.finish->usage.completion_tokens - 1;
    if (further > 0) {
      outcome.per_token = (Now() - arrival.at - outcome.first_token) / further;
    }
  }

  void TakeSample() {
    work_.at = Now();
    work_.waiting = scheduler_.stats().waiting_by_tier;
    result_.samples.push_back(work_);
  }

  const std::vector<bench::Arrival>& arrivals_;
  test::FakeClock clock_;
  const absl::Duration started_;
  SimulationResult result_;
  WorkSample work_;
  Scheduler scheduler_;
};

}  // namespace

SimulationResult Simulate(const std::vector<bench::Arrival>& arrivals,
                          const SimulationOptions& options) {
  return Simulation(arrivals, options).Run();
}

double Capacity(bench::LoadShape shape, SimulationOptions options) {
  shape.requests_per_second = 1e9;
  options.scheduler.queue = {shape.requests, int64_t{1} << 40};
  return shape.requests /
         absl::ToDoubleSeconds(Simulate(bench::PoissonArrivals(shape), options).took);
}

}  // namespace floe::inference
