#include "services/trainer/pretrain/pretrain_files.h"

#include <algorithm>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/clock.h"
#include "base/file_reader.h"
#include "base/files.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "tokenizer/documents.h"
#include "tokenizer/tokenizer.h"
#include "trainer/compute.h"
#include "trainer/distributed/local_ranks.h"
#include "trainer/distributed/process_group.h"
#include "trainer/pretrainer.h"
#include "trainer/spec/pretrain_spec.h"
#include "trainer/tokenize_corpus.h"

namespace floe::trainer {
namespace {

constexpr int64_t kMaxTokenizerBytes = 256 << 20;

class Lines final : public TrainingObserver {
 public:
  explicit Lines(std::ostream& out) : out_(out) {}
  void OnProgress(const TrainProgress& progress) override {
    out_ << absl::StrFormat("step %d/%d loss %.4f", progress.step, progress.steps, progress.loss);
    if (progress.held_out_loss) out_ << absl::StrFormat(" held-out %.4f", *progress.held_out_loss);
    out_ << absl::StrFormat(" %.0f tokens/s", progress.tokens_per_second) << std::endl;
  }
  void OnLine(LineLevel, std::string_view text) override { out_ << text << std::endl; }

 private:
  std::ostream& out_;
};

// One rank, step by step; the parts are those that the next steps use.
class Run {
 public:
  Run(const PretrainFilesOptions& options, RankPlace place, std::ostream& out)
      : options_(options), place_(std::move(place)), out_(out) {}

  absl::Status Read() {
    FLOE_ASSIGN_OR_RETURN(const std::string text, ReadFile(options_.spec));
    FLOE_ASSIGN_OR_RETURN(spec_, ParsePretrainSpec(text));
    FLOE_RETURN_IF_ERROR(JudgeDeviceOfThisMachine(
        spec_.train.device, std::max<int64_t>(place_.size, spec_.train.processes)));
    FLOE_ASSIGN_OR_RETURN(tokenizer_json_, ReadFile(options_.tokenizer, kMaxTokenizerBytes));
    FLOE_ASSIGN_OR_RETURN(tokenizer_, tokenizer::Tokenizer::Load(tokenizer_json_));
    // On one machine unless the environment says otherwise.
    starts_others_ = place_.size == 1 && spec_.train.processes > 1;
    if (starts_others_) place_.size = static_cast<int>(spec_.train.processes);
    threads_ = options_.threads;
    if (threads_ == 0) {
      const int machine = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
      threads_ = std::max(1, machine / static_cast<int>(spec_.train.processes));
    }
    return absl::OkStatus();
  }

  // Rank 0 has the tokens made before it listens; the others find them made.
  absl::Status Prepare(const std::vector<std::string>& argv, std::stop_token stop) {
    if (place_.rank == 0) FLOE_RETURN_IF_ERROR(Tokenize(stop));
    if (place_.size > 1) {
      FLOE_ASSIGN_OR_RETURN(
          group_, ProcessGroup::Open(place_, {.cuda = spec_.train.device == DeviceKind::kCuda}));
      place_.port = group_->port();
    }
    if (place_.rank != 0) FLOE_RETURN_IF_ERROR(Tokenize(stop));
    if (starts_others_) {
      FLOE_ASSIGN_OR_RETURN(others_, LocalRanks::Start({argv, place_, options_.work_dir}));
    }
    if (group_ == nullptr) return absl::OkStatus();
    return others_.Explain(group_->Join(data_, [&] {
      return stop.stop_requested() ? absl::CancelledError("stopped") : others_.Lost();
    }));
  }

  absl::Status Train(std::stop_token stop) {
    PretrainOptions options;
    options.blueprint = spec_.blueprint;
    options.blueprint.vocab_size = tokenizer_->vocab_size();
    options.settings = spec_.train;
    options.train_tokens = tokens_.train;
    options.held_out_tokens = tokens_.held_out;
    options.state_folder = WorkFolder() / "states";
    options.data = data_;
    options.threads = threads_;
    options.group = group_.get();
    FLOE_ASSIGN_OR_RETURN(const auto pretrainer, Pretrainer::Create(options, *tokenizer_, clock_));
    Lines lines(out_);
    FLOE_RETURN_IF_ERROR(others_.Explain(pretrainer->Run(lines, stop).status()));
    return place_.rank == 0 ? Export(*pretrainer) : absl::OkStatus();
  }

 private:
  std::filesystem::path WorkFolder() const { return options_.work_dir; }

  absl::Status Tokenize(std::stop_token stop) {
    const auto format = tokenizer::TextFormatFromName(options_.format);
    if (!format) {
      return absl::InvalidArgumentError(
          absl::StrCat("format is \"", options_.format, "\"; known are text, jsonl"));
    }
    FLOE_ASSIGN_OR_RETURN(const FileDigest corpus, DigestOf(options_.corpus));
    corpus_digest_ = corpus.sha256;
    TokenizeOptions tokens;
    tokens.corpus = options_.corpus;
    tokens.format = *format;
    tokens.folder = WorkFolder() / "tokens";
    tokens.held_out_fraction = spec_.train.held_out_fraction;
    tokens.threads = threads_;
    tokens.corpus_digest = corpus_digest_;
    tokens.tokenizer_digest = Sha256::Hex(tokenizer_json_);
    tokens.stop = stop;
    data_ = absl::StrCat(corpus_digest_, " ", tokens.tokenizer_digest);
    FLOE_ASSIGN_OR_RETURN(tokens_, TokenizeCorpus(*tokenizer_, tokens));
    return absl::OkStatus();
  }

  absl::Status Export(const Pretrainer& pretrainer) {
    const std::filesystem::path folder = WorkFolder() / "checkpoint";
    std::error_code error;  // of an attempt that ended while it exported
    std::filesystem::remove_all(folder, error);
    if (error) return ErrnoStatus(error.value(), "cannot clear " + folder.string());
    FLOE_ASSIGN_OR_RETURN(
        const std::string digest,
        pretrainer.Export(folder,
                          {.dataset = corpus_digest_, .tokenizer = Sha256::Hex(tokenizer_json_)},
                          {{"tokenizer.json", tokenizer_json_}}));
    out_ << "checkpoint sha256:" << digest << std::endl;
    return absl::OkStatus();
  }

  const PretrainFilesOptions& options_;
  RankPlace place_;
  std::ostream& out_;
  const SystemClock clock_;
  PretrainSpec spec_;
  std::string tokenizer_json_;
  std::unique_ptr<const tokenizer::Tokenizer> tokenizer_;
  bool starts_others_ = false;
  int threads_ = 1;
  std::string corpus_digest_;
  std::string data_;
  TokenizedCorpus tokens_;
  std::unique_ptr<ProcessGroup> group_;
  LocalRanks others_;  // end before the group: nobody then waits for them
};

}  // namespace

absl::Status PretrainFiles(const PretrainFilesOptions& options, RankPlace place,
                           const std::vector<std::string>& argv, std::ostream& out,
                           std::stop_token stop) {
  auto run = std::make_unique<Run>(options, std::move(place), out);
  absl::Status status = run->Read();
  if (status.ok()) status = run->Prepare(argv, stop);
  if (status.ok()) status = run->Train(stop);
  // Its end would wait for operations that other processes, gone or waiting likewise, never finish.
  if (absl::IsUnavailable(status)) static_cast<void>(run.release());
  return status;
}

}  // namespace floe::trainer
