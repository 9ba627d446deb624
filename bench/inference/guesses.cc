#include "bench/inference/guesses.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "inference/engine/cpu_engine.h"
#include "inference/scheduler/scheduler.h"
#include "model/accounting.h"
#include "model/checkpoint.h"
#include "tokenizer/tokenizer.h"

namespace floe::bench {
namespace {

namespace fs = std::filesystem;

using Json = nlohmann::ordered_json;

constexpr int kPromptTokens = 32;
constexpr int kAnswerTokens = 96;
constexpr int kTexts = 8;  // prompts out of a text
constexpr int64_t kMostGuesses = 6;
constexpr int64_t kDraftPart = 6;  // the draft model has one layer in so many

// Who guesses for the checkpoint in `target`: nobody, the sequence itself, or the one in `draft`.
enum class Guesser { kNone, kLookup, kDraft };
struct Decoder {
  Guesser guesser = Guesser::kNone;
  fs::path target, draft;
};

absl::StatusOr<std::unique_ptr<inference::Engine>> LoadEngine(const fs::path& folder, int threads) {
  FLOE_ASSIGN_OR_RETURN(const model::Checkpoint checkpoint,
                        model::Checkpoint::Open(folder, /*verify=*/false));
  return inference::CreateCpuEngine(checkpoint, {.num_threads = threads, .max_step_tokens = 64});
}

// What is asked.
struct Work {
  std::vector<std::vector<int32_t>> prompts;
  float temperature = 0;
};

struct Decoding {
  double tokens_per_second = 0;
  double right = 0;  // part of the guesses
};

// Answers one after another, each timed from its first token on.
absl::StatusOr<Decoding> Decode(const Decoder& decoder, const Work& work, int threads) {
  FLOE_ASSIGN_OR_RETURN(auto engine, LoadEngine(decoder.target, threads));
  std::unique_ptr<inference::Engine> guesser;
  if (decoder.guesser == Guesser::kDraft) {
    FLOE_ASSIGN_OR_RETURN(guesser, LoadEngine(decoder.draft, threads));
  }
  inference::SchedulerOptions options;
  options.own_thread = false;
  options.targets.tiers = {};
  options.speculation.max_draft = decoder.guesser == Guesser::kNone ? 0 : kMostGuesses;
  SystemClock clock;
  inference::Scheduler scheduler(std::move(engine), clock, options, std::move(guesser));
  double seconds = 0;
  int64_t tokens = 0;
  for (const std::vector<int32_t>& prompt : work.prompts) {
    inference::Request request;
    request.prompt = prompt;
    request.max_tokens = kAnswerTokens;
    request.sampling = {.temperature = work.temperature, .seed = 1};
    double first = 0, last = 0;
    const auto sink = [&](const inference::Event& event) {
      last = Seconds();
      if (first == 0) {
        first = last;
      } else {
        tokens += std::ssize(event.ids);
      }
    };
    FLOE_RETURN_IF_ERROR(scheduler.Submit(std::move(request), sink).status());
    while (scheduler.RunOnce()) {
    }
    seconds += last - first;
  }
  if (tokens == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(decoder.target.string(),
                     " gave no answer that can be timed; its context must "
                     "be longer than ",
                     kPromptTokens + 1, " tokens"));
  }
  const inference::SchedulerStats stats = scheduler.stats();
  const auto drafted = static_cast<double>(std::max<int64_t>(1, stats.drafted_tokens));
  return Decoding{static_cast<double>(tokens) / seconds,
                  static_cast<double>(stats.accepted_tokens) / drafted};
}

// The best of the rounds of each decoder in turn, beside the same without guesses.
absl::StatusOr<Json> Compare(const std::string& name, const std::vector<Decoder>& decoders,
                             const Work& work, int threads, int rounds) {
  Decoding alone;
  std::vector<Decoding> with(decoders.size());
  const auto take = [](Decoding& best, const Decoding& now) {
    if (now.tokens_per_second > best.tokens_per_second) best = now;
  };
  for (int round = 0; round < rounds; ++round) {
    FLOE_ASSIGN_OR_RETURN(const Decoding without,
                          Decode({Guesser::kNone, decoders[0].target, {}}, work, threads));
    take(alone, without);
    for (size_t i = 0; i < decoders.size(); ++i) {
      FLOE_ASSIGN_OR_RETURN(const Decoding now, Decode(decoders[i], work, threads));
      take(with[i], now);
    }
  }
  Json rows = Json::array();
  for (const Decoding& decoding : with) {
    rows.push_back({{"work", absl::StrFormat("%s, %.0f %% right", name, 100 * decoding.right)},
                    {"ours", decoding.tokens_per_second},
                    {"unit", "tokens/s"},
                    {"peer", alone.tokens_per_second},
                    {"peer_name", "without"},
                    {"limit", nullptr}});
  }
  return rows;
}

void Append(const Json& from, Json& rows) { rows.insert(rows.end(), from.begin(), from.end()); }

// The beginnings of kTexts equal parts of a text.
absl::StatusOr<std::vector<std::vector<int32_t>>> PromptsOf(const fs::path& text_file,
                                                            const std::string& tokenizer_json) {
  FLOE_ASSIGN_OR_RETURN(const std::string text, ReadFile(text_file));
  FLOE_ASSIGN_OR_RETURN(const auto tokenizer, tokenizer::Tokenizer::Load(tokenizer_json));
  const std::vector<tokenizer::TokenId> ids = tokenizer->Encode(text);
  const int64_t part = std::ssize(ids) / kTexts;
  if (part < kPromptTokens) {
    return absl::InvalidArgumentError(absl::StrCat(text_file.string(), " has ", ids.size(),
                                                   " tokens; ", kTexts * kPromptTokens,
                                                   " are the least"));
  }
  std::vector<std::vector<int32_t>> prompts;
  for (int i = 0; i < kTexts; ++i) {
    prompts.emplace_back(ids.begin() + i * part, ids.begin() + i * part + kPromptTokens);
  }
  return prompts;
}

}  // namespace

absl::StatusOr<Json> MeasureGuesses(const ServedModel& served, const fs::path& scratch, int threads,
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
  Work work{.prompts = {{}}};
  for (int i = 0; i < kPromptTokens; ++i) {
    work.prompts[0].push_back(PromptToken(served.blueprint, 0, i));
  }
  FLOE_ASSIGN_OR_RETURN(
      Json rows,
      Compare(absl::StrFormat("%s F32, draft model of %d layers", served.name, small.num_layers),
              {{Guesser::kDraft, target, draft}, {Guesser::kDraft, target, stranger}}, work,
              threads, rounds));
  // Where every layer is silent, the id that was read is the likeliest next one: an answer that
  // repeats itself, on which lookup lives. A draw out of random weights hardly ever does.
  const fs::path repeating = scratch / (served.name + "-repeating");
  FLOE_RETURN_IF_ERROR(WriteRandomCheckpoint(served.blueprint, repeating, {.silent_from = 0}));
  for (const auto& [answer, checkpoint, temperature] :
       {std::tuple("repeats itself", repeating, 0.0f), {"does not", target, 1.0f}}) {
    work.temperature = temperature;
    FLOE_ASSIGN_OR_RETURN(const Json lookup,
                          Compare(absl::StrFormat("%s F32, lookup in what %s", served.name, answer),
                                  {{Guesser::kLookup, checkpoint, {}}}, work, threads, rounds));
    Append(lookup, rows);
  }
  return rows;
}

absl::StatusOr<Json> MeasureTrainedPair(const fs::path& target, const fs::path& draft,
                                        const fs::path& text, int threads, int rounds) {
  FLOE_ASSIGN_OR_RETURN(const std::string tokenizer, ReadFile(target / "tokenizer.json"));
  FLOE_ASSIGN_OR_RETURN(const std::string other, ReadFile(draft / "tokenizer.json"));
  if (tokenizer != other) {
    return absl::InvalidArgumentError(
        absl::StrCat(target.string(), " and ", draft.string(),
                     " have different tokenizers, so one cannot guess for the other"));
  }
  FLOE_ASSIGN_OR_RETURN(const auto prompts, PromptsOf(text, tokenizer));
  FLOE_ASSIGN_OR_RETURN(const model::Checkpoint large, model::Checkpoint::Open(target));
  FLOE_ASSIGN_OR_RETURN(const model::Checkpoint small, model::Checkpoint::Open(draft));
  const auto millions = [](const model::Checkpoint& checkpoint) {
    return static_cast<double>(model::CountParameters(checkpoint.blueprint()).Total()) * 1e-6;
  };
  Json rows = Json::array();
  for (const float temperature : {0.0f, 0.8f}) {
    const auto measure = [&](const std::string& guesser, const Decoder& decoder) {
      return Compare(absl::StrFormat("trained %.1fM guessed by %s, temperature %.1f",
                                     millions(large), guesser, temperature),
                     {decoder}, {prompts, temperature}, threads, rounds);
    };
    FLOE_ASSIGN_OR_RETURN(const Json by_draft, measure(absl::StrFormat("%.1fM", millions(small)),
                                                       {Guesser::kDraft, target, draft}));
    FLOE_ASSIGN_OR_RETURN(const Json by_lookup,
                          measure("prompt lookup", {Guesser::kLookup, target, {}}));
    Append(by_draft, rows);
    Append(by_lookup, rows);
  }
  return rows;
}

}  // namespace floe::bench
