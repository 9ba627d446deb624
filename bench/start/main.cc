// floe-bench-start: how long a worker takes from the start of its process until it serves, and
// until the first token of a first request is there, with the 135 million checkpoint of
// floe-bench-inference. The checkpoint lies in the worker's cache, or in the store of blobs; what
// was written just before is in the machine's page cache. Prints the rows of bench/README.md.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "grpcpp/grpcpp.h"
#include "nlohmann/json.hpp"

#include "base/scratch_folder.h"
#include "base/status_macros.h"
#include "bench/program/program.h"
#include "bench/worker/worker.h"
#include "services/runtime/status.h"

namespace floe::bench {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
constexpr int kPromptTokens = 16;
constexpr double kLimit = 1;  // second, to serve: what docs/serving.md promises

absl::Status FirstToken(Worker& worker, const Served& served) {
  inference::v1::GenerateRequest request;
  request.set_checkpoint_digest(served.digest);
  for (int i = 0; i < kPromptTokens; ++i) {
    request.add_prompt_ids(static_cast<uint32_t>(PromptToken(served.blueprint, 0, i)));
  }
  request.set_max_tokens(1);
  grpc::ClientContext context;
  const auto stream = worker.stub().Generate(&context, request);
  inference::v1::GenerateResponse response;
  while (stream->Read(&response)) {
  }
  return runtime::FromGrpcStatus(stream->Finish());
}

struct Times {
  double serves = std::numeric_limits<double>::infinity();
  double first_token = std::numeric_limits<double>::infinity();
};

// The best of the rounds; each begins with what `kept` says and no more.
absl::StatusOr<Times> Measure(const fs::path& folder, bool narrow, Kept kept, int rounds) {
  FLOE_ASSIGN_OR_RETURN(const Served served,
                        WriteServed(folder, ServedModels().front(), narrow, kept));
  Times best;
  for (int round = 0; round < rounds; ++round) {
    if (kept == Kept::kInBlobs) fs::remove_all(folder / "cache");
    fs::create_directories(folder / "cache");
    const double start = Seconds();
    FLOE_ASSIGN_OR_RETURN(const auto worker, Worker::Start(folder, served));
    const double serves = Seconds() - start;
    FLOE_RETURN_IF_ERROR(FirstToken(*worker, served));
    best.first_token = std::min(best.first_token, Seconds() - start);
    best.serves = std::min(best.serves, serves);
  }
  return best;
}

absl::Status Run(int rounds) {
  Json rows = Json::array();
  const auto add = [&](const std::string& work, double seconds, Json limit) {
    rows.push_back({{"work", work},
                    {"ours", seconds},
                    {"unit", "s"},
                    {"peer", nullptr},
                    {"peer_name", nullptr},
                    {"limit", std::move(limit)}});
  };
  for (const auto& [format, narrow] : {std::pair("F32", false), {"8-bit", true}}) {
    for (const auto& [where, kept] :
         {std::pair("in its cache", Kept::kInCache), {"in the store", Kept::kInBlobs}}) {
      FLOE_ASSIGN_OR_RETURN(const ScratchFolder folder, ScratchFolder::InTemp("floe-bench"));
      FLOE_ASSIGN_OR_RETURN(const Times times, Measure(folder.path(), narrow, kept, rounds));
      const std::string work = absl::StrCat("135M ", format, " ", where);
      add(absl::StrCat(work, ", serves"), times.serves, kLimit);
      add(absl::StrCat(work, ", first token"), times.first_token, Json());
    }
  }
  std::cout << Json{{"rows", rows}}.dump() << "\n";
  return absl::OkStatus();
}

}  // namespace
}  // namespace floe::bench

int main(int argc, char** argv) {
  int rounds = 3;
  CLI::App app("Seconds from a worker's start until it serves", "floe-bench-start");
  app.add_option("--rounds", rounds, "The best of so many")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  return floe::bench::Main(app, argc, argv, [&] { return floe::bench::Run(rounds); });
}
