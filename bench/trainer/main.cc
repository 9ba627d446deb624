// floe-bench-trainer [threads]: training tokens/s and GFLOP/s of the demo's model, beside the
// machine's own peak of matrix products in the same run. Prints the rows of bench/README.md. The
// peer is the same model and step in PyTorch, where $FLOE_BENCH_PYTHON (python3) can import it.
#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

#include "base/clock.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "model/accounting.h"
#include "tokenizer/trainer.h"
#include "trainer/compute.h"
#include "trainer/pretrainer.h"
#include "trainer/rng.h"
#include "trainer/token_file.h"

namespace floe::trainer {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kTokens = 200'000;

// docs/examples/pretrain.yaml.
PretrainOptions DemoOptions(const std::filesystem::path& folder, int threads) {
  PretrainOptions options;
  options.blueprint = {.vocab_size = 4096,
                       .hidden_size = 256,
                       .num_layers = 3,
                       .num_heads = 4,
                       .num_kv_heads = 2,
                       .head_dim = 64,
                       .ffn_hidden = 640,
                       .context = 256};
  options.settings.steps = 60;
  options.settings.batch_size = 4;
  options.settings.sequence_length = 256;
  options.settings.held_out_fraction = 0;
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
      flops_per_token_ = progress.gflops * 1e9 / progress.tokens_per_second;
    }
    first_step_ = std::max(first_step_, progress.step);
    last_step_ = progress.step;
  }
  void OnLine(LineLevel, std::string_view) override {}

  double tokens_per_second() const { return steps_ / seconds_; }
  double gflops() const { return tokens_per_second() * flops_per_token_ * 1e-9; }
  double flops_per_token() const { return flops_per_token_; }

 private:
  int64_t first_step_ = 0, last_step_ = 0;
  double steps_ = 0, seconds_ = 0, flops_per_token_ = 0;
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

std::optional<Json> RunPeer(const PretrainOptions& options) {
  const char* python = getenv("FLOE_BENCH_PYTHON");
  const std::string command =
      absl::StrCat("'", python == nullptr ? "python3" : python, "' '", FLOE_BENCH_PEER, "' ",
                   options.threads, " ", options.settings.steps);
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

absl::Status Measure(const std::filesystem::path& folder, int threads) {
  const PretrainOptions options = DemoOptions(folder, threads);
  FLOE_RETURN_IF_ERROR(WriteRandomTokens(options.train_tokens, options.blueprint.vocab_size));
  FLOE_RETURN_IF_ERROR(ConfigureCompute(threads));
  SystemClock clock;
  FLOE_ASSIGN_OR_RETURN(const auto tokenizer, ByteTokenizer());
  FLOE_ASSIGN_OR_RETURN(const auto pretrainer, Pretrainer::Create(options, *tokenizer, clock));
  const double before = MeasureGemmGflops();
  Meter meter;
  FLOE_RETURN_IF_ERROR(pretrainer->Run(meter, {}).status());
  // The better of two looks: what the machine gave while nothing disturbed it.
  const double peak = std::max(before, MeasureGemmGflops());
  std::cerr << absl::StrFormat("GEMM peak %.1f GFLOP/s with %d threads\n", peak, threads);
  const std::optional<Json> peer = RunPeer(options);
  const std::string work =
      absl::StrFormat("pretrain %.1fM parameters, %dx%d tokens, %d threads",
                      static_cast<double>(model::CountParameters(options.blueprint).Total()) * 1e-6,
                      options.settings.batch_size, options.settings.sequence_length, threads);
  const auto row = [&](double ours, const char* unit, double limit, double per_token) {
    return Json{
        {"work", work},
        {"ours", ours},
        {"unit", unit},
        {"peer", peer ? Json((*peer)["tokens_per_second"].get<double>() * per_token) : Json()},
        {"peer_name", peer ? (*peer)["name"] : Json()},
        {"limit", limit}};
  };
  std::cout << Json{{"rows",
                     {row(meter.tokens_per_second(), "tokens/s",
                          peak * 1e9 / meter.flops_per_token(), 1),
                      row(meter.gflops(), "GFLOP/s", peak, meter.flops_per_token() * 1e-9)}}}
                   .dump()
            << "\n";
  return absl::OkStatus();
}

absl::Status Run(int argc, char** argv) {
  const int threads = argc > 1
                          ? atoi(argv[1])
                          : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  std::string folder = (std::filesystem::temp_directory_path() / "floe-bench-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return ErrnoStatus(errno, "cannot make " + folder);
  const absl::Status status = Measure(folder, threads);
  std::error_code ignored;  // a folder that stays behind does not spoil the figures
  std::filesystem::remove_all(folder, ignored);
  return status;
}

}  // namespace
}  // namespace floe::trainer

int main(int argc, char** argv) {
  floe::trainer::RestartWithPatientThreads(argv);
  const absl::Status status = floe::trainer::Run(argc, argv);
  if (status.ok()) return 0;
  std::cerr << "floe-bench-trainer: " << status.message() << "\n";
  return 1;
}
