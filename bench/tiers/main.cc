// floe-bench-tiers: what each latency tier gets from the real scheduler and engine, in one process,
// on the checkpoint of floe-bench-inference. Requests come as a Poisson process at 70, 100 and 150
// % of what the worker was measured to do, 20 % priority, 50 % default, 30 % flex. Prints the rows
// of bench/README.md; goodput and the other terms are those of open_loop.h.
#include <algorithm>
#include <condition_variable>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "nlohmann/json.hpp"

#include "base/clock.h"
#include "base/scratch_folder.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "bench/inference/workload.h"
#include "bench/tiers/open_loop.h"
#include "inference/engine/cpu_engine.h"
#include "inference/scheduler/scheduler.h"
#include "model/checkpoint.h"

namespace floe::bench {
namespace {

using Json = nlohmann::ordered_json;
constexpr double kLoads[] = {0.7, 1.0, 1.5};
constexpr int kCapacityRequests = 96;
constexpr double kSeconds = 30;  // of arrivals, a load

// Offers arrivals to a scheduler when their time has come, and waits for all.
class Offer {
 public:
  Offer(inference::Scheduler& scheduler, const std::vector<Arrival>& arrivals)
      : scheduler_(scheduler), arrivals_(arrivals), outcomes_(arrivals.size()) {}

  std::vector<Outcome> Run() {
    start_ = clock_.Monotonic();
    for (size_t i = 0; i < arrivals_.size(); ++i) {
      absl::SleepFor(start_ + arrivals_[i].at - clock_.Monotonic());
      Submit(i);
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ended_ == arrivals_.size(); });
    return outcomes_;
  }
  absl::Duration elapsed() const { return clock_.Monotonic() - start_; }

 private:
  void Submit(size_t index) {
    const Arrival& arrival = arrivals_[index];
    inference::Request request;
    for (int64_t i = 0; i < arrival.prompt_tokens; ++i) {
      request.prompt.push_back(
          PromptToken(scheduler_.blueprint(), static_cast<int>(index), static_cast<int>(i)));
    }
    request.max_tokens = arrival.answer_tokens;
    request.tier = arrival.tier;
    const auto id = scheduler_.Submit(
        std::move(request), [this, index](const inference::Event& event) { Take(index, event); });
    if (!id.ok()) End(index, /*refused=*/true);
  }

  void Take(size_t index, const inference::Event& event) {
    const absl::Duration since = elapsed() - arrivals_[index].at;
    Outcome& outcome = outcomes_[index];
    if (!event.ids.empty() && outcome.first_token == absl::ZeroDuration()) {
      outcome.first_token = since;
    }
    if (!event.finish) return;
    const int64_t further = event.finish->usage.completion_tokens - 1;
    if (further > 0) outcome.per_token = (since - outcome.first_token) / further;
    End(index, !event.finish->status.ok());
  }

  void End(size_t index, bool refused) {
    const std::lock_guard lock(mutex_);
    outcomes_[index].tier = arrivals_[index].tier;
    outcomes_[index].refused = refused;
    ++ended_;
    changed_.notify_all();
  }

  const SystemClock clock_;
  inference::Scheduler& scheduler_;
  const std::vector<Arrival>& arrivals_;
  absl::Duration start_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t ended_ = 0;               // guarded by mutex_
  std::vector<Outcome> outcomes_;  // each the scheduler's until it has ended
};

double Capacity(inference::Scheduler& scheduler) {
  const std::vector<Arrival> all =
      PoissonArrivals({.requests_per_second = 1e9, .requests = kCapacityRequests});
  Offer offer(scheduler, all);
  offer.Run();
  return kCapacityRequests / absl::ToDoubleSeconds(offer.elapsed());
}

void AddRows(Json& rows, double load, inference::ServiceTier tier, const TierResult& result) {
  const std::string work =
      absl::StrCat(static_cast<int>(load * 100), " % load, ", AbslView(inference::TierName(tier)));
  const auto add = [&](const char* what, double ours, const char* unit) {
    rows.push_back({{"work", absl::StrCat(work, ": ", what)},
                    {"ours", ours},
                    {"unit", unit},
                    {"peer", nullptr},
                    {"peer_name", nullptr},
                    {"limit", nullptr}});
  };
  add("goodput", 100 * result.goodput, "% of requests");
  add("first token, p50", absl::ToDoubleMilliseconds(result.first_token_p50), "ms");
  add("first token, p99", absl::ToDoubleMilliseconds(result.first_token_p99), "ms");
  add("per token, p50", absl::ToDoubleMilliseconds(result.per_token_p50), "ms");
  add("per token, p99", absl::ToDoubleMilliseconds(result.per_token_p99), "ms");
  add("delayed", static_cast<double>(result.delayed), "requests");
  add("refused", static_cast<double>(result.refused), "requests");
}

absl::StatusOr<Json> MeasureAll(const std::filesystem::path& folder) {
  FLOE_RETURN_IF_ERROR(
      WriteRandomCheckpoint(ServedModels().back().blueprint, folder / "checkpoint"));
  FLOE_ASSIGN_OR_RETURN(const model::Checkpoint checkpoint,
                        model::Checkpoint::Open(folder / "checkpoint"));
  const int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  FLOE_ASSIGN_OR_RETURN(auto engine,
                        inference::CreateCpuEngine(checkpoint, {.num_threads = threads}));
  const SystemClock clock;
  const inference::SchedulerOptions options;
  inference::Scheduler scheduler(std::move(engine), clock, options);
  Capacity(scheduler);  // warms up, and teaches what a step costs
  const double capacity = Capacity(scheduler);
  std::cerr << "the worker does " << capacity << " requests/s\n";
  Json rows = Json::array();
  for (const double load : kLoads) {
    const std::vector<Arrival> arrivals =
        PoissonArrivals({.requests_per_second = load * capacity,
                         .requests = std::max(1, static_cast<int>(load * capacity * kSeconds))});
    const auto tiers = Summarise(Offer(scheduler, arrivals).Run(), options.targets);
    for (size_t i = tiers.size(); i-- > 0;) {
      AddRows(rows, load, static_cast<inference::ServiceTier>(i), tiers[i]);
    }
  }
  return Json{{"rows", rows}};
}

absl::Status Run() {
  FLOE_ASSIGN_OR_RETURN(const ScratchFolder folder, ScratchFolder::InTemp("floe-bench"));
  const absl::StatusOr<Json> rows = MeasureAll(folder.path());
  FLOE_RETURN_IF_ERROR(rows.status());
  std::cout << rows->dump() << "\n";
  return absl::OkStatus();
}

}  // namespace
}  // namespace floe::bench

int main() {
  const absl::Status status = floe::bench::Run();
  if (status.ok()) return 0;
  std::cerr << "floe-bench-tiers: " << status.message() << "\n";
  return 1;
}
