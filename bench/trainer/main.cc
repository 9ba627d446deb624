// floe-bench-trainer [threads [model]]: training tokens/s and GFLOP/s of the demo's model and of
// nanoGPT's two for characters, beside what the machine makes of the very matrix products of a step
// alone, in the same run; `model` is a part of the one's name to be measured alone. Prints the rows
// of bench/README.md. The peer is the same model and step in PyTorch, where $FLOE_BENCH_PYTHON
// (python3) can import it.
#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

#include "base/clock.h"
#include "base/files.h"
#include "base/scratch_folder.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "bench/program/program.h"
#include "model/accounting.h"
#include "tokenizer/trainer.h"
#include "trainer/compute.h"
#include "trainer/pretrainer.h"
#include "trainer/rng.h"
#include "trainer/step_products.h"
#include "trainer/token_file.h"

namespace floe::trainer {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kTokens = 200'000;
constexpr int kRounds = 3;

// One model and step, and how its peer is called.
struct Case {
  std::string name;
  model::Blueprint blueprint;
  int64_t batch_size = 0;
  int64_t steps = 0;
  std::string peer;  // the script's name
  PrecisionKind precision = PrecisionKind::kF32;
};

model::Blueprint Gpt2(int64_t vocab_size, int64_t width, int64_t layers, int64_t heads,
                      int64_t context) {
  return {.family = model::Family::kGpt2,
          .vocab_size = vocab_size,
          .hidden_size = width,
          .num_layers = layers,
          .num_heads = heads,
          .num_kv_heads = heads,
          .head_dim = width / heads,
          .ffn_hidden = 4 * width,
          .ffn = model::FfnKind::kPlain,
          .context = context,
          .norm_eps = 1e-5};
}

std::vector<Case> Cases() {
  const model::Blueprint demo = {.vocab_size = 4096,  // docs/examples/pretrain.yaml
                                 .hidden_size = 256,
                                 .num_layers = 3,
                                 .num_heads = 4,
                                 .num_kv_heads = 2,
                                 .head_dim = 64,
                                 .ffn_hidden = 640,
                                 .context = 256};
  const model::Blueprint characters = Gpt2(65, 384, 6, 6, 256);
  std::vector<Case> cases = {
      {"the demo's", demo, 4, 60, FLOE_BENCH_PEER},
      {"nanoGPT for a CPU", Gpt2(65, 128, 4, 4, 64), 12, 200, FLOE_BENCH_NANOGPT},
      {"nanoGPT's characters, its own batch", characters, 64, 3, FLOE_BENCH_NANOGPT},
      {"nanoGPT's characters, small steps", characters, 4, 12, FLOE_BENCH_NANOGPT}};
  // Both sides in bf16, where the processor has it; the limit stays that of products in F32.
  if (JudgeBf16OfThisMachine().ok()) {
    cases.push_back({"nanoGPT's characters, small steps in bf16", characters, 4, 12,
                     FLOE_BENCH_NANOGPT, PrecisionKind::kBf16});
  }
  return cases;
}

PretrainOptions OptionsOf(const Case& one, const std::filesystem::path& folder, int threads) {
  PretrainOptions options;
  options.blueprint = one.blueprint;
  options.settings.steps = one.steps;
  options.settings.batch_size = one.batch_size;
  options.settings.sequence_length = one.blueprint.context;
  options.settings.held_out_fraction = 0;
  options.settings.precision = one.precision;
  options.settings.sample_prompt = "a";
  options.settings.eval_interval = 1'000'000;
  options.settings.checkpoint_interval = 1'000'000;
  options.train_tokens = folder / "train.tokens";
  options.state_folder = folder / "states";
  options.threads = threads;
  return options;
}

// Sums the reports; the first, of one cold step, is left out.
class Meter final : public TrainingObserver {
 public:
  void OnProgress(const TrainProgress& progress) override {
    if (first_step_ > 0 && progress.tokens_per_second > 0) {
      const auto steps = static_cast<double>(progress.step - last_step_);
      seconds_ += steps / progress.tokens_per_second;
      steps_ += steps;
    }
    first_step_ = std::max(first_step_, progress.step);
    last_step_ = progress.step;
  }
  void OnLine(LineLevel, std::string_view) override {}

  double tokens_per_second() const { return steps_ / seconds_; }

 private:
  int64_t first_step_ = 0, last_step_ = 0;
  double steps_ = 0, seconds_ = 0;
};

absl::Status WriteRandomTokens(const std::filesystem::path& path, int64_t vocab_size) {
  Rng rng(1);
  std::vector<int32_t> ids(kTokens);
  for (int32_t& id : ids) {
    id = static_cast<int32_t>(rng.Below(static_cast<uint64_t>(vocab_size)));
  }
  FLOE_ASSIGN_OR_RETURN(auto writer, TokenFileWriter::Create(path, vocab_size));
  FLOE_RETURN_IF_ERROR(writer.Append(ids));
  return writer.Finish();
}

// Samples are drawn with it, outside of what is measured.
absl::StatusOr<std::unique_ptr<const tokenizer::Tokenizer>> ByteTokenizer() {
  tokenizer::TrainOptions options;
  options.vocab_size = 260;
  FLOE_ASSIGN_OR_RETURN(tokenizer::Trainer trainer, tokenizer::Trainer::Create(options));
  trainer.Add("a bench a bench");
  FLOE_ASSIGN_OR_RETURN(tokenizer::Vocabulary vocabulary, trainer.Train());
  return tokenizer::Tokenizer::Create(std::move(vocabulary));
}

std::optional<Json> RunPeer(const Case& one, int threads) {
  const char* python = getenv("FLOE_BENCH_PYTHON");
  const model::Blueprint& b = one.blueprint;
  const std::string command =
      // How our own libraries are tuned is none of the peer's business.
      absl::StrCat("env -u GOMP_SPINCOUNT -u GLIBC_TUNABLES '",
                   python == nullptr ? "python3" : python, "' '", one.peer, "' ", threads, " ",
                   one.steps, " ", b.num_layers, " ", b.num_heads, " ", b.hidden_size, " ",
                   b.context, " ", one.batch_size, " ", b.vocab_size, " ",
                   AbslView(PrecisionName(one.precision)));
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return std::nullopt;
  std::string output;
  char buffer[4096];
  while (const size_t n = fread(buffer, 1, sizeof(buffer), pipe)) output.append(buffer, n);
  if (pclose(pipe) != 0) return std::nullopt;
  Json answer = Json::parse(output, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object()) return std::nullopt;
  return answer;
}

double SpeedOf(const Json& peer) { return peer["tokens_per_second"].get<double>(); }

absl::StatusOr<double> TrainOnce(const PretrainOptions& options) {
  const SystemClock clock;
  FLOE_ASSIGN_OR_RETURN(const auto tokenizer, ByteTokenizer());
  FLOE_ASSIGN_OR_RETURN(const auto pretrainer, Pretrainer::Create(options, *tokenizer, clock));
  Meter meter;
  FLOE_RETURN_IF_ERROR(pretrainer->Run(meter, {}).status());
  return meter.tokens_per_second();
}

// The best of the rounds, each of ours, the peer and the products by turns: what the machine gives
// while nothing disturbs it.
absl::Status Measure(const Case& one, const std::filesystem::path& folder, int threads,
                     Json& rows) {
  PretrainOptions options = OptionsOf(one, folder, threads);
  FLOE_RETURN_IF_ERROR(WriteRandomTokens(options.train_tokens, options.blueprint.vocab_size));
  const std::vector<MatrixProduct> products =
      StepProducts(one.blueprint, one.blueprint.num_layers, one.batch_size * one.blueprint.context);
  double ours = 0, peak = 0;
  std::optional<Json> peer;
  for (int round = 0; round < kRounds; ++round) {
    options.state_folder = folder / absl::StrCat("states-", round);
    FLOE_ASSIGN_OR_RETURN(const double now, TrainOnce(options));
    ours = std::max(ours, now);
    peak = std::max(peak, MeasureGemmGflops(products, kRounds));
    const std::optional<Json> other = RunPeer(one, threads);
    if (other && (!peer || SpeedOf(*other) > SpeedOf(*peer))) peer = other;
  }
  std::cerr << absl::StrFormat("%s: its products alone %.1f GFLOP/s with %d threads; peer %s\n",
                               one.name, peak, threads,
                               peer ? (*peer)["build"].get<std::string>() : "not there");
  const std::string work =
      absl::StrFormat("%s, %.1fM parameters, %dx%d tokens, %d threads", one.name,
                      static_cast<double>(model::CountParameters(options.blueprint).Total()) * 1e-6,
                      options.settings.batch_size, options.settings.sequence_length, threads);
  const auto row = [&](double value, const char* unit, double limit, double per_token) {
    return Json{{"work", work},
                {"ours", value},
                {"unit", unit},
                {"peer", peer ? Json(SpeedOf(*peer) * per_token) : Json()},
                {"peer_name", peer ? (*peer)["build"] : Json()},
                {"limit", limit}};
  };
  const double flops = FlopsOf(products);  // which the limit consists of
  const double per_token =
      flops * 1e-9 / static_cast<double>(one.batch_size * one.blueprint.context);
  rows.push_back(row(ours, "tokens/s", peak / per_token, 1));
  rows.push_back(row(ours * per_token, "GFLOP/s of products", peak, per_token));
  // As the field counts, and a job's gemm_peak_share: attention's products too, masked or not.
  const double counted = 1e-9 * static_cast<double>(model::TrainingFlopsPerToken(
                                    one.blueprint, one.blueprint.context));
  rows.push_back(row(ours * counted, "GFLOP/s, attention counted", peak, counted));
  return absl::OkStatus();
}

absl::Status MeasureAll(const std::filesystem::path& folder, int threads, std::string_view only) {
  FLOE_RETURN_IF_ERROR(ConfigureCompute(threads));
  Json rows = Json::array();
  for (const Case& one : Cases()) {
    if (one.name.find(only) == std::string::npos) continue;
    const std::filesystem::path own = folder / absl::StrCat(rows.size());
    std::error_code error;
    std::filesystem::create_directory(own, error);
    if (error) return ErrnoStatus(error.value(), "cannot make " + own.string());
    FLOE_RETURN_IF_ERROR(Measure(one, own, threads, rows));
  }
  std::cout << Json{{"rows", rows}}.dump() << "\n";
  return absl::OkStatus();
}

absl::Status Run(int threads, std::string_view only) {
  FLOE_ASSIGN_OR_RETURN(const ScratchFolder folder, ScratchFolder::InTemp("floe-bench"));
  return MeasureAll(folder.path(), threads, only);
}

}  // namespace
}  // namespace floe::trainer

int main(int argc, char** argv) {
  floe::trainer::RestartWithTunedLibraries(argv);
  int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  std::string only;
  CLI::App app("Training tokens a second, beside the matrix products of a step alone",
               "floe-bench-trainer");
  app.add_option("threads", threads, "That compute")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("model", only, "A part of the name of the one model to measure [all]");
  return floe::bench::Main(app, argc, argv, [&] { return floe::trainer::Run(threads, only); });
}
