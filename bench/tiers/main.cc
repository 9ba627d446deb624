// floe-bench-tiers: what each latency tier gets from a real worker, floe-inference in a process of
// its own that is asked by gRPC, on the checkpoint of floe-bench-inference. Requests come as a
// Poisson process at 70, 100 and 150 % of what the worker was measured to do, 20 % priority, 50 %
// default, 30 % flex. Prints the rows of bench/README.md; goodput and the other terms are those of
// open_loop.h, as the client sees them.
#include <algorithm>
#include <csignal>
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
#include "bench/tiers/offer.h"
#include "bench/tiers/open_loop.h"
#include "model/checkpoint.h"
#include "services/runtime/client.h"
#include "tests/support/child_process.h"
#include "tests/support/started.h"

namespace floe::bench {
namespace {

using Json = nlohmann::ordered_json;
constexpr double kLoads[] = {0.7, 1.0, 1.5};
constexpr int kCapacityRequests = 96;
constexpr double kSeconds = 30;  // of arrivals, a load

// floe-inference with the options that it has by default, and one checkpoint loaded. Ended by
// SIGTERM.
class Worker {
 public:
  static absl::StatusOr<std::unique_ptr<Worker>> Start(const std::filesystem::path& folder) {
    auto worker = std::make_unique<Worker>();
    FLOE_RETURN_IF_ERROR(worker->WriteCheckpoint(folder));
    std::filesystem::create_directory(folder / "blobs");
    test::ChildProcess::Options child;
    child.argv = {FLOE_INFERENCE_PROGRAM, "--insecure",     "--blob-dir",
                  folder / "blobs",       "--cache-dir",    folder / "cache",
                  "--ports-file",         folder / "ports", "--preload",
                  worker->served_.digest};
    child.output = folder / "log";
    const int port = test::StartServing(child, folder / "ports", worker->process_);
    FLOE_ASSIGN_OR_RETURN(auto channel, runtime::MakeChannel(test::AddressOf(port), {},
                                                             /*insecure=*/true));
    worker->stub_ = inference::v1::InferenceService::NewStub(std::move(channel));
    return worker;
  }
  ~Worker() {
    if (!process_.running()) return;
    process_.Signal(SIGTERM);
    process_.Wait(absl::Seconds(30));
  }

  // What became of the arrivals, and when the last of them had ended.
  std::vector<Outcome> Run(const std::vector<Arrival>& arrivals, absl::Duration* took = nullptr) {
    Offer offer(*stub_, served_, arrivals);
    std::vector<Outcome> outcomes = offer.Run();
    if (took != nullptr) *took = offer.elapsed();
    return outcomes;
  }
  // Requests a second, when all come at once.
  double Capacity() {
    absl::Duration took;
    Run(PoissonArrivals({.requests_per_second = 1e9, .requests = kCapacityRequests}), &took);
    return kCapacityRequests / absl::ToDoubleSeconds(took);
  }

 private:
  // Where a worker finds what it had fetched before.
  absl::Status WriteCheckpoint(const std::filesystem::path& folder) {
    served_.blueprint = ServedModels().back().blueprint;
    std::filesystem::create_directory(folder / "cache");
    FLOE_RETURN_IF_ERROR(WriteRandomCheckpoint(served_.blueprint, folder / "cache/new"));
    FLOE_ASSIGN_OR_RETURN(const model::Checkpoint checkpoint,
                          model::Checkpoint::Open(folder / "cache/new"));
    served_.digest = checkpoint.digest();
    std::filesystem::rename(folder / "cache/new", folder / "cache" / served_.digest);
    return absl::OkStatus();
  }

  Served served_;
  test::ChildProcess process_;
  std::unique_ptr<inference::v1::InferenceService::Stub> stub_;
};

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
  FLOE_ASSIGN_OR_RETURN(const auto worker, Worker::Start(folder));
  worker->Capacity();  // warms up, and teaches what a step costs
  const double capacity = worker->Capacity();
  std::cerr << "the worker does " << capacity << " requests/s\n";
  Json rows = Json::array();
  for (const double load : kLoads) {
    const std::vector<Arrival> arrivals =
        PoissonArrivals({.requests_per_second = load * capacity,
                         .requests = std::max(1, static_cast<int>(load * capacity * kSeconds))});
    const auto tiers = Summarise(worker->Run(arrivals), inference::TierTargets());
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
