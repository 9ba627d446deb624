// floe-bench-tiers: what each latency tier gets from a real worker, floe-inference in a process of
// its own that is asked by gRPC, on the checkpoint of floe-bench-inference. Requests come as a
// Poisson process at 70, 100 and 150 % of what the worker was measured to do, 20 % priority, 50 %
// default, 30 % flex. Prints the rows of bench/README.md; goodput and the other terms are those of
// open_loop.h, as the client sees them.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/scratch_folder.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "bench/inference/workload.h"
#include "bench/program/program.h"
#include "bench/tiers/offer.h"
#include "bench/tiers/open_loop.h"
#include "bench/worker/worker.h"

namespace floe::bench {
namespace {

using Json = nlohmann::ordered_json;
constexpr double kLoads[] = {0.7, 1.0, 1.5};
constexpr int kCapacityRequests = 96;
constexpr double kSeconds = 30;  // of arrivals, a load

// What became of the arrivals, and when the last of them had ended.
std::vector<Outcome> Run(Worker& worker, const Served& served, const std::vector<Arrival>& arrivals,
                         absl::Duration* took = nullptr) {
  Offer offer(worker.stub(), served, arrivals);
  std::vector<Outcome> outcomes = offer.Run();
  if (took != nullptr) *took = offer.elapsed();
  return outcomes;
}

// Requests a second, when all come at once.
double Capacity(Worker& worker, const Served& served) {
  absl::Duration took;
  Run(worker, served, PoissonArrivals({.requests_per_second = 1e9, .requests = kCapacityRequests}),
      &took);
  return kCapacityRequests / absl::ToDoubleSeconds(took);
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
  FLOE_ASSIGN_OR_RETURN(const Served served, WriteServed(folder, ServedModels().back(),
                                                         /*narrow=*/false, Kept::kInCache));
  FLOE_ASSIGN_OR_RETURN(const auto worker, Worker::Start(folder, served));
  Capacity(*worker, served);  // warms up, and teaches what a step costs
  const double capacity = Capacity(*worker, served);
  std::cerr << "the worker does " << capacity << " requests/s\n";
  Json rows = Json::array();
  for (const double load : kLoads) {
    const std::vector<Arrival> arrivals =
        PoissonArrivals({.requests_per_second = load * capacity,
                         .requests = std::max(1, static_cast<int>(load * capacity * kSeconds))});
    const auto tiers = Summarise(Run(*worker, served, arrivals), inference::TierTargets());
    for (size_t i = tiers.size(); i-- > 0;) {
      AddRows(rows, load, static_cast<inference::ServiceTier>(i), tiers[i]);
    }
  }
  return Json{{"rows", rows}};
}

absl::Status RunAll() {
  FLOE_ASSIGN_OR_RETURN(const ScratchFolder folder, ScratchFolder::InTemp("floe-bench"));
  const absl::StatusOr<Json> rows = MeasureAll(folder.path());
  FLOE_RETURN_IF_ERROR(rows.status());
  std::cout << rows->dump() << "\n";
  return absl::OkStatus();
}

}  // namespace
}  // namespace floe::bench

int main(int argc, char** argv) {
  CLI::App app("What each latency tier gets from a worker at 70, 100 and 150 % of its load",
               "floe-bench-tiers");
  return floe::bench::Main(app, argc, argv, [] { return floe::bench::RunAll(); });
}
