#include "services/runner/tokenizer_train_executor.h"

#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/file_reader.h"
#include "base/status_macros.h"
#include "services/runtime/client.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/documents.h"
#include "tokenizer/train_from_file.h"
#include "tokenizer/train_spec.h"

namespace floe::runner {
namespace {

namespace pb = ::floe::registry::v1;
using Phase = tokenizer::TrainFileProgress::Phase;

constexpr absl::Duration kAskTime = absl::Seconds(30);
constexpr absl::Duration kTransferTime = absl::Hours(2);
constexpr absl::Duration kProgressInterval = absl::Milliseconds(200);
// Progress is told in thousandths of the whole.
constexpr int64_t kSteps = 1000;
constexpr char kCorpusFile[] = "corpus";

// On behalf of the job's team.
runtime::OutgoingCall CallFor(const Assignment& job, absl::Duration at_most) {
  auto call = runtime::OutgoingCall::Own(job.job_id, at_most);
  call.identity.team = job.team;
  call.identity.role = "developer";
  call.identity.key_id = job.creator;
  return call;
}

// The three phases as one scale, with the share of the time that each takes.
class PhaseProgress {
 public:
  PhaseProgress(Reporter& reporter, const Clock& clock)
      : reporter_(reporter), clock_(clock), start_(clock.Monotonic()) {}

  void Report(const tokenizer::TrainFileProgress& progress) {
    const absl::Duration now = clock_.Monotonic();
    if (progress.done < progress.total && now - last_ < kProgressInterval) return;
    last_ = now;
    const double part = progress.total == 0 ? 1.0
                                            : static_cast<double>(progress.done) /
                                                  static_cast<double>(progress.total);
    jobs::Progress told;
    told.steps = kSteps;
    switch (progress.phase) {
      case Phase::kCounting:
        told.step = static_cast<int64_t>(400 * part);
        told.metrics["bytes_read"] = static_cast<double>(progress.done);
        break;
      case Phase::kMerging:
        told.step = 400 + static_cast<int64_t>(300 * part);
        told.metrics["merges"] = static_cast<double>(progress.done);
        break;
      case Phase::kChecking:
        told.step = 700 + static_cast<int64_t>(300 * part);
        told.metrics["bytes_checked"] = static_cast<double>(progress.done);
        break;
    }
    if (told.step > 0) {
      told.remaining = (now - start_) *
                       (static_cast<double>(kSteps - told.step) / static_cast<double>(told.step));
    }
    reporter_.Progress(std::move(told));
  }

 private:
  Reporter& reporter_;
  const Clock& clock_;
  const absl::Duration start_;
  absl::Duration last_ = -absl::InfiniteDuration();
};

// A full disk here (not the registry's) with what was being written and what to do about it.
absl::Status Explained(const absl::Status& status, const pb::Dataset& dataset,
                       const std::filesystem::path& corpus) {
  const bool is_ours = absl::StrContains(status.message(), corpus.string());
  if (!absl::IsResourceExhausted(status) || !is_ours) return status;
  return absl::ResourceExhaustedError(absl::StrCat(
      "the copy of ", dataset.name(), " (", dataset.size_bytes(), " bytes) at ", corpus.string(),
      " could not be written: ", status.message(),
      "; none of it was kept. Free that much space there, or start the runner with a --work-dir on "
      "a larger disk; submit the job again if it has no attempt left"));
}

absl::StatusOr<std::filesystem::path> FetchCorpus(registry::RegistryClient& registry,
                                                  const Assignment& job, const pb::Dataset& dataset,
                                                  Reporter& reporter) {
  const std::filesystem::path corpus = job.folder / kCorpusFile;
  if (const auto kept = DigestOf(corpus); kept.ok() && kept->sha256 == dataset.digest()) {
    reporter.Info("the dataset of an earlier attempt is here and whole");
    return corpus;
  }
  FLOE_RETURN_IF_ERROR(
      Explained(registry.DownloadFile(CallFor(job, kTransferTime), dataset.digest(), corpus),
                dataset, corpus));
  reporter.Info(absl::StrFormat("dataset %s: %d bytes, digest verified", dataset.name(),
                                dataset.size_bytes()));
  return corpus;
}

absl::StatusOr<std::string> Publish(registry::RegistryClient& registry, const Assignment& job,
                                    const tokenizer::TrainSpec& spec, const pb::Dataset& dataset,
                                    const tokenizer::TrainedTokenizer& trained) {
  const auto call = CallFor(job, kTransferTime);
  FLOE_ASSIGN_OR_RETURN(const pb::Blob file,
                        registry.UploadBytes(call, trained.tokenizer->ToJson()));
  FLOE_ASSIGN_OR_RETURN(
      const pb::Blob config,
      registry.UploadBytes(call, tokenizer::TokenizerConfigJson(*trained.tokenizer)));
  pb::CreateTokenizerRequest request;
  request.set_parent(absl::StrCat("teams/", job.team));
  request.set_tokenizer_id(spec.name);
  request.set_request_id(job.job_id);  // a repeated attempt gets the first one's answer
  pb::Tokenizer& made = *request.mutable_tokenizer();
  made.set_digest(file.digest());
  made.set_config_digest(config.digest());
  made.set_vocab_size(trained.tokenizer->vocab_size());
  made.set_dataset_digest(dataset.digest());
  made.set_job(job.job);
  made.set_bytes_per_token(trained.bytes_per_token());
  FLOE_ASSIGN_OR_RETURN(const pb::Tokenizer answer,
                        registry.CreateTokenizer(CallFor(job, kAskTime), request));
  return absl::StrCat(answer.name(), "@sha256:", answer.digest());
}

absl::Status CheckStop(std::stop_token stop) {
  return stop.stop_requested() ? absl::CancelledError("asked to stop") : absl::OkStatus();
}

}  // namespace

std::string TokenizerTrainExecutor::kind() const { return std::string(tokenizer::kTrainJobKind); }

absl::StatusOr<std::string> TokenizerTrainExecutor::Execute(const Assignment& job,
                                                            Reporter& reporter,
                                                            std::stop_token stop) {
  FLOE_ASSIGN_OR_RETURN(const tokenizer::TrainSpec spec, tokenizer::ParseTrainSpec(job.spec));
  FLOE_ASSIGN_OR_RETURN(const pb::Dataset dataset,
                        registry_.GetDataset(CallFor(job, kAskTime), spec.dataset));
  const auto format = tokenizer::TextFormatFromName(dataset.format());
  if (!format) {
    return absl::FailedPreconditionError(absl::StrCat(dataset.name(), " has the format \"",
                                                      dataset.format(),
                                                      "\"; a tokenizer learns from text or jsonl"));
  }
  tokenizer::TrainFileOptions options;
  FLOE_ASSIGN_OR_RETURN(options.corpus, FetchCorpus(registry_, job, dataset, reporter));
  FLOE_RETURN_IF_ERROR(CheckStop(stop));
  PhaseProgress progress(reporter, clock_);
  options.format = *format;
  options.train = spec.options;
  options.threads = threads_;
  options.stop = stop;
  options.on_progress = [&progress](const auto& done) { progress.Report(done); };
  FLOE_ASSIGN_OR_RETURN(const tokenizer::TrainedTokenizer trained,
                        tokenizer::TrainTokenizerFromFile(options));
  reporter.Info(absl::StrFormat("vocabulary of %d tokens; compression: %.3f bytes a token",
                                trained.tokenizer->vocab_size(), trained.bytes_per_token()));
  reporter.Info(
      absl::StrFormat("round trip: all %d documents (%d bytes, %d tokens) come back unchanged",
                      trained.documents, trained.bytes, trained.tokens));
  FLOE_RETURN_IF_ERROR(CheckStop(stop));
  FLOE_ASSIGN_OR_RETURN(std::string name, Publish(registry_, job, spec, dataset, trained));
  reporter.Info(absl::StrCat("registered ", name));
  return name;
}

}  // namespace floe::runner
