#include "bench/inference/guesses.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_format.h"

#include "base/clock.h"
#include "base/status_macros.h"
#include "inference/engine/cpu_engine.h"
#include "inference/scheduler/scheduler.h"
#include "model/checkpoint.h"

namespace floe::bench {
namespace {

namespace fs = std::filesystem;

constexpr int kPromptTokens = 32;
constexpr int kAnswerTokens = 96;
constexpr int64_t kMostGuesses = 6;
constexpr int64_t kDraftPart = 6;  // the draft model has one layer in so many

absl::StatusOr<std::unique_ptr<inference::Engine>> LoadEngine(const fs::path& folder, int threads) {
  FLOE_ASSIGN_OR_RETURN(const model::Checkpoint checkpoint,
                        model::Checkpoint::Open(folder, /*verify=*/false));
  return inference::CreateCpuEngine(checkpoint, {.num_threads = threads, .max_step_tokens = 64});
}

struct Decoding {
  double tokens_per_second = 0;
  double right = 0;  // part of the guesses
};

// One answer, from its first token on. `draft` may be empty.
absl::StatusOr<Decoding> Decode(const fs::path& target, const fs::path& draft, int threads) {
  FLOE_ASSIGN_OR_RETURN(auto engine, LoadEngine(target, threads));
  std::unique_ptr<inference::Engine> guesser;
  if (!draft.empty()) {
    FLOE_ASSIGN_OR_RETURN(guesser, LoadEngine(draft, threads));
  }
  inference::Request request;
  for (int i = 0; i < kPromptTokens; ++i) {
    request.prompt.push_back(PromptToken(engine->blueprint(), 0, i));
  }
  request.max_tokens = kAnswerTokens;
  inference::SchedulerOptions options;
  options.own_thread = false;
  options.targets.tiers = {};
  options.speculation.max_draft = draft.empty() ? 0 : kMostGuesses;
  SystemClock clock;
  inference::Scheduler scheduler(std::move(engine), clock, options, std::move(guesser));
  double first = 0, last = 0;
  const auto sink = [&](const inference::Event&) {
    last = Seconds();
    if (first == 0) first = last;
  };
  FLOE_RETURN_IF_ERROR(scheduler.Submit(std::move(request), sink).status());
  while (scheduler.RunOnce()) {
  }
  const inference::SchedulerStats stats = scheduler.stats();
  const auto drafted = static_cast<double>(std::max<int64_t>(1, stats.drafted_tokens));
  return Decoding{(kAnswerTokens - 1) / (last - first),
                  static_cast<double>(stats.accepted_tokens) / drafted};
}

}  // namespace

absl::StatusOr<nlohmann::ordered_json> MeasureGuesses(const ServedModel& served,
                                                      const fs::path& scratch, int threads,
                                                      int rounds) {
  model::Blueprint small = served.blueprint;
  small.num_layers = std::max<int64_t>(1, small.num_layers / kDraftPart);
  const fs::path target = scratch / (served.name + "-target");
  const fs::path draft = scratch / (served.name + "-draft");
  const fs::path stranger = scratch / (served.name + "-stranger");
  FLOE_RETURN_IF_ERROR(
      WriteRandomCheckpoint(served.blueprint, target, {.silent_from = small.num_layers}));
  FLOE_RETURN_IF_ERROR(WriteRandomCheckpoint(small, draft));
  FLOE_RETURN_IF_ERROR(WriteRandomCheckpoint(small, stranger, {.seed = 2}));
  Decoding alone, with, against;
  const auto take = [](Decoding& best, const Decoding& now) {
    if (now.tokens_per_second > best.tokens_per_second) best = now;
  };
  for (int round = 0; round < rounds; ++round) {
    FLOE_ASSIGN_OR_RETURN(const Decoding a, Decode(target, {}, threads));
    FLOE_ASSIGN_OR_RETURN(const Decoding b, Decode(target, draft, threads));
    FLOE_ASSIGN_OR_RETURN(const Decoding c, Decode(target, stranger, threads));
    take(alone, a);
    take(with, b);
    take(against, c);
  }
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const Decoding& decoding : {with, against}) {
    rows.push_back({{"work", absl::StrFormat("%s F32, draft model of %d layers, %.0f %% right",
                                             served.name, small.num_layers, 100 * decoding.right)},
                    {"ours", decoding.tokens_per_second},
                    {"unit", "tokens/s"},
                    {"peer", alone.tokens_per_second},
                    {"peer_name", "without"},
                    {"limit", nullptr}});
  }
  return rows;
}

}  // namespace floe::bench
