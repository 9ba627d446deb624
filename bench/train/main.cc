// floe-bench-train CORPUS THREADS SEEDS JOB...: how fast recipes learn a text. Each job file of
// kind `pretrain` is run once a seed, nine tenths of the text to learn from and the whole last
// tenth to be measured on. Tokens are the 256 bytes (`tokenizer: bytes`), or only those that the
// text has
// (`tokenizer: characters`), as nanoGPT's characters are. Prints
//
//   {corpus_bytes, held_out_bytes, threads, blas_kernels,
//     runs: [{job, vocab_size, parameters, tokens_per_step,
//     seeds: [{seed, loss, seconds, curve: [[tokens, held-out loss], …]}, …]}, …]}
//
// blas_kernels: what OpenBLAS was told to use (OPENBLAS_CORETYPE), for a peer; empty: its own
// choice.

#include <array>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

#include "base/clock.h"
#include "base/files.h"
#include "base/scratch_folder.h"
#include "base/status_macros.h"
#include "bench/program/program.h"
#include "model/accounting.h"
#include "tokenizer/trainer.h"
#include "trainer/compute.h"
#include "trainer/pretrainer.h"
#include "trainer/token_file.h"

namespace floe::trainer {
namespace {

using Json = nlohmann::ordered_json;

// The 256 bytes and no merges.
absl::StatusOr<std::unique_ptr<const tokenizer::Tokenizer>> ByteTokenizer() {
  tokenizer::TrainOptions options;
  options.vocab_size = 256;
  options.special_tokens = {};
  FLOE_ASSIGN_OR_RETURN(tokenizer::Trainer trainer, tokenizer::Trainer::Create(options));
  trainer.Add("bytes");
  FLOE_ASSIGN_OR_RETURN(tokenizer::Vocabulary vocabulary, trainer.Train());
  return tokenizer::Tokenizer::Create(std::move(vocabulary));
}

// The id of each byte, from 0 on.
struct Alphabet {
  std::array<int32_t, 256> ids{};
  int64_t size = 0;
};

// All bytes, or those of the text.
Alphabet AlphabetOf(std::string_view text, bool all) {
  std::array<bool, 256> there{};
  for (const char byte : text) there[static_cast<uint8_t>(byte)] = true;
  Alphabet alphabet;
  for (size_t byte = 0; byte < there.size(); ++byte) {
    if (all || there[byte]) alphabet.ids[byte] = static_cast<int32_t>(alphabet.size++);
  }
  return alphabet;
}

absl::Status WriteTokens(const std::filesystem::path& path, const Alphabet& alphabet,
                         std::string_view text) {
  std::vector<int32_t> ids;
  ids.reserve(text.size());
  for (const char byte : text) ids.push_back(alphabet.ids[static_cast<uint8_t>(byte)]);
  FLOE_ASSIGN_OR_RETURN(auto writer, TokenFileWriter::Create(path, alphabet.size));
  FLOE_RETURN_IF_ERROR(writer.Append(ids));
  return writer.Finish();
}

// Keeps the held-out losses, and says on the way how it goes.
class Curve final : public TrainingObserver {
 public:
  Curve(std::string name, int64_t tokens_per_step)
      : name_(std::move(name)), tokens_per_step_(tokens_per_step) {}

  void OnProgress(const TrainProgress& progress) override {
    std::cerr << absl::StrFormat("%s  step %d/%d  loss %.4f  %.0f tokens/s\n", name_, progress.step,
                                 progress.steps, progress.loss, progress.tokens_per_second);
    if (!progress.held_out_loss || *progress.held_out_loss == last_) return;
    last_ = *progress.held_out_loss;
    points_.push_back({progress.step * tokens_per_step_, last_});
    std::cerr << absl::StrFormat("%s  held-out loss %.4f\n", name_, last_);
  }
  void OnLine(LineLevel, std::string_view) override {}
  const Json& points() const { return points_; }

 private:
  const std::string name_;
  const int64_t tokens_per_step_;
  double last_ = 0;
  Json points_ = Json::array();
};

struct Bench {
  std::filesystem::path folder;
  const tokenizer::Tokenizer& tokenizer;  // of samples, which nobody reads
  std::string_view text;
  int threads = 1;

  std::string_view train() const { return text.substr(0, text.size() * 9 / 10); }
  std::string_view held_out() const { return text.substr(train().size()); }
};

absl::StatusOr<Json> RunSeed(const Bench& bench, const std::string& name, const PretrainSpec& spec,
                             uint64_t seed) {
  PretrainOptions options;
  options.blueprint = spec.blueprint;
  options.settings = spec.train;
  options.settings.seed = seed;
  options.settings.held_out_tokens = std::ssize(bench.held_out());
  options.settings.sample_prompt = std::string(1, 'A');  // an id that every alphabet has
  options.settings.sample_interval = 0;
  options.settings.checkpoint_interval = options.settings.steps;
  options.train_tokens = bench.folder / "train.tokens";
  options.held_out_tokens = bench.folder / "held_out.tokens";
  options.state_folder = bench.folder / absl::StrCat("states-", name, "-", seed);
  options.threads = bench.threads;
  const TrainSettings& train = options.settings;
  Curve curve(absl::StrCat(name, " seed ", seed),
              train.batch_size * train.sequence_length * train.gradient_accumulation);
  const SystemClock clock;
  FLOE_ASSIGN_OR_RETURN(const auto pretrainer, Pretrainer::Create(options, bench.tokenizer, clock));
  FLOE_ASSIGN_OR_RETURN(const PretrainOutcome outcome, pretrainer->Run(curve, {}));
  return Json{{"seed", seed},
              {"loss", outcome.held_out_loss},
              {"seconds", outcome.seconds},
              {"curve", curve.points()}};
}

absl::StatusOr<Json> RunJob(const Bench& bench, const std::filesystem::path& job, int64_t seeds) {
  FLOE_ASSIGN_OR_RETURN(const std::string text, ReadFile(job, 1 << 20));
  auto spec = ParsePretrainSpec(text);
  if (!spec.ok()) {
    return absl::Status(spec.status().code(),
                        absl::StrCat(job.string(), ": ", spec.status().message()));
  }
  const bool all = spec->tokenizer == "bytes";
  if (!all && spec->tokenizer != "characters") {
    return absl::InvalidArgumentError(absl::StrCat(job.string(), ": tokenizer is ", spec->tokenizer,
                                                   "; here it is bytes or characters"));
  }
  const Alphabet alphabet = AlphabetOf(bench.text, all);
  FLOE_RETURN_IF_ERROR(WriteTokens(bench.folder / "train.tokens", alphabet, bench.train()));
  FLOE_RETURN_IF_ERROR(WriteTokens(bench.folder / "held_out.tokens", alphabet, bench.held_out()));
  spec->blueprint.vocab_size = alphabet.size;
  const TrainSettings& train = spec->train;
  Json run = {
      {"job", job.stem().string()},
      {"vocab_size", alphabet.size},
      {"parameters", model::CountParameters(spec->blueprint).Total()},
      {"tokens_per_step", train.batch_size * train.sequence_length * train.gradient_accumulation},
      {"seeds", Json::array()}};
  for (int64_t seed = 1; seed <= seeds; ++seed) {
    FLOE_ASSIGN_OR_RETURN(Json one, RunSeed(bench, job.stem().string(), *spec, seed));
    run["seeds"].push_back(std::move(one));
  }
  return run;
}

struct Flags {
  std::string corpus;
  int threads = 1;
  int64_t seeds = 1;
  std::vector<std::string> jobs;
};

absl::Status Measure(const std::filesystem::path& folder, const Flags& flags) {
  FLOE_ASSIGN_OR_RETURN(const std::string text, ReadFile(flags.corpus));
  FLOE_ASSIGN_OR_RETURN(const auto tokenizer, ByteTokenizer());
  const Bench bench{folder, *tokenizer, text, flags.threads};
  const char* kernels = getenv("OPENBLAS_CORETYPE");
  Json result = {{"corpus_bytes", text.size()},
                 {"held_out_bytes", bench.held_out().size()},
                 {"threads", flags.threads},
                 {"blas_kernels", kernels == nullptr ? "" : kernels},
                 {"runs", Json::array()}};
  for (const std::string& job : flags.jobs) {
    FLOE_ASSIGN_OR_RETURN(Json run, RunJob(bench, job, flags.seeds));
    result["runs"].push_back(std::move(run));
  }
  std::cout << result.dump() << "\n";
  return absl::OkStatus();
}

absl::Status Run(const Flags& flags) {
  FLOE_ASSIGN_OR_RETURN(const ScratchFolder folder, ScratchFolder::InTemp("floe-bench"));
  return Measure(folder.path(), flags);
}

}  // namespace
}  // namespace floe::trainer

int main(int argc, char** argv) {
  floe::trainer::RestartWithTunedLibraries(argv);
  floe::trainer::Flags flags;
  CLI::App app("How fast recipes learn a text", "floe-bench-train");
  app.add_option("corpus", flags.corpus, "The text")->required();
  app.add_option("threads", flags.threads, "That compute")->required()->check(CLI::Range(1, 1024));
  app.add_option("seeds", flags.seeds, "Runs of each job, with seeds from 1 on")
      ->required()
      ->check(CLI::PositiveNumber);
  app.add_option("jobs", flags.jobs, "Job files of kind `pretrain`")->required();
  return floe::bench::Main(app, argc, argv, [&] { return floe::trainer::Run(flags); });
}
