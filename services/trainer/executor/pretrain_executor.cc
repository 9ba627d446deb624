#include "services/trainer/executor/pretrain_executor.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/files.h"
#include "base/status_macros.h"
#include "model/accounting.h"
#include "services/registry/client/checkpoint_transfer.h"
#include "services/runner/job_inputs.h"
#include "services/trainer/executor/training_events.h"
#include "tokenizer/documents.h"
#include "tokenizer/tokenizer.h"
#include "trainer/compute.h"
#include "trainer/distributed/local_ranks.h"
#include "trainer/distributed/process_group.h"
#include "trainer/pretrainer.h"
#include "trainer/spec/pretrain_spec.h"
#include "trainer/tokenize_corpus.h"

namespace floe::runner {
namespace {

namespace pb = ::floe::registry::v1;

struct Materials {
  pb::Dataset dataset;
  pb::Tokenizer tokenizer;
  tokenizer::TextFormat format = tokenizer::TextFormat::kText;
  std::filesystem::path corpus;
  std::map<std::string, std::string> tokenizer_files;
  std::unique_ptr<const tokenizer::Tokenizer> encoder;
};

absl::StatusOr<Materials> Fetch(registry::RegistryClient& registry, const Assignment& job,
                                const trainer::PretrainSpec& spec, Reporter& reporter) {
  Materials materials;
  FLOE_ASSIGN_OR_RETURN(materials.dataset,
                        registry.GetDataset(CallFor(job, kAskTime), spec.dataset));
  const auto format = tokenizer::TextFormatFromName(materials.dataset.format());
  if (!format) {
    return absl::FailedPreconditionError(
        absl::StrCat(materials.dataset.name(), " has the format \"", materials.dataset.format(),
                     "\"; a model learns from text or jsonl"));
  }
  materials.format = *format;
  FLOE_ASSIGN_OR_RETURN(materials.tokenizer,
                        registry.GetTokenizer(CallFor(job, kAskTime), spec.tokenizer));
  FLOE_ASSIGN_OR_RETURN(materials.corpus,
                        FetchFile(registry, job, materials.dataset.digest(), "corpus"));
  const auto call = CallFor(job, kTransferTime);
  auto& files = materials.tokenizer_files;
  FLOE_ASSIGN_OR_RETURN(
      files["tokenizer.json"],
      registry.DownloadBytes(call, materials.tokenizer.digest(), kMaxTokenizerBytes));
  if (!materials.tokenizer.config_digest().empty()) {
    FLOE_ASSIGN_OR_RETURN(
        files["tokenizer_config.json"],
        registry.DownloadBytes(call, materials.tokenizer.config_digest(), kMaxTokenizerBytes));
  }
  FLOE_ASSIGN_OR_RETURN(materials.encoder, tokenizer::Tokenizer::Load(files["tokenizer.json"]));
  reporter.Info(absl::StrFormat("dataset %s (%d bytes) and tokenizer %s (%d tokens) are here",
                                materials.dataset.name(), materials.dataset.size_bytes(),
                                materials.tokenizer.name(), materials.encoder->vocab_size()));
  return materials;
}

absl::StatusOr<trainer::TokenizedCorpus> Tokenize(const Assignment& job, const Materials& materials,
                                                  const trainer::PretrainSpec& spec, int threads,
                                                  Reporter& reporter, std::stop_token stop) {
  trainer::TokenizeOptions options;
  options.corpus = materials.corpus;
  options.format = materials.format;
  options.folder = job.folder / "tokens";
  options.held_out_fraction = spec.train.held_out_fraction;
  options.threads = threads;
  options.corpus_digest = materials.dataset.digest();
  options.tokenizer_digest = materials.tokenizer.digest();
  options.stop = stop;
  options.on_progress = [&](int64_t done, int64_t total) {
    jobs::Progress told;
    told.steps = spec.train.steps;
    told.metrics = {{"bytes_tokenized", static_cast<double>(done)},
                    {"bytes_to_tokenize", static_cast<double>(total)}};
    reporter.Progress(std::move(told));
  };
  FLOE_ASSIGN_OR_RETURN(trainer::TokenizedCorpus tokens,
                        trainer::TokenizeCorpus(*materials.encoder, options));
  reporter.Info(absl::StrFormat("%d documents: %d tokens to train on, %d held out%s",
                                tokens.documents, tokens.train_tokens, tokens.held_out_tokens,
                                tokens.reused ? " (of an earlier attempt)" : ""));
  return tokens;
}

// The processes of a job with more than one: this one is rank 0, floe-pretrain beside this program
// is each of the others, on what Fetch and Tokenize left in the job's folder.
struct Ranks {
  std::unique_ptr<trainer::ProcessGroup> group;  // nullptr: this process alone
  trainer::LocalRanks others;                    // end before the group
};

absl::StatusOr<Ranks> StartRanks(const Assignment& job, const Materials& materials,
                                 const trainer::PretrainOptions& options, std::stop_token stop) {
  Ranks ranks;
  trainer::RankPlace place;
  place.size = static_cast<int>(options.settings.processes);
  if (place.size == 1) return ranks;
  FLOE_RETURN_IF_ERROR(WriteFileAtomically(job.folder / "spec.json", job.spec));
  FLOE_RETURN_IF_ERROR(WriteFileAtomically(job.folder / "tokenizer.json",
                                           materials.tokenizer_files.at("tokenizer.json")));
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return ErrnoStatus(error.value(), "cannot read /proc/self/exe");
  FLOE_ASSIGN_OR_RETURN(
      ranks.group, trainer::ProcessGroup::Open(
                       place, {.cuda = options.settings.device == trainer::DeviceKind::kCuda}));
  place.port = ranks.group->port();
  trainer::LocalRanksOptions others;
  others.argv = {self.parent_path() / "floe-pretrain",
                 "--spec",
                 job.folder / "spec.json",
                 "--corpus",
                 materials.corpus,
                 "--format",
                 materials.dataset.format(),
                 "--tokenizer",
                 job.folder / "tokenizer.json",
                 "--work-dir",
                 job.folder,
                 "--threads",
                 absl::StrCat(options.threads)};
  others.place = place;
  others.logs = job.folder;
  FLOE_ASSIGN_OR_RETURN(ranks.others, trainer::LocalRanks::Start(others));
  FLOE_RETURN_IF_ERROR(ranks.others.Explain(ranks.group->Join(options.data, [&] {
    return stop.stop_requested() ? absl::CancelledError("stopped") : ranks.others.Lost();
  })));
  return ranks;
}

absl::StatusOr<std::string> Publish(registry::RegistryClient& registry, const Assignment& job,
                                    const trainer::PretrainSpec& spec, const Materials& materials,
                                    const trainer::Pretrainer& pretrainer,
                                    const trainer::PretrainOutcome& outcome, Reporter& reporter) {
  const std::filesystem::path folder = job.folder / "checkpoint";
  std::error_code error;  // of an attempt that ended while it published
  std::filesystem::remove_all(folder, error);
  if (error) return ErrnoStatus(error.value(), "cannot clear " + folder.string());
  FLOE_ASSIGN_OR_RETURN(const std::string digest,
                        pretrainer.Export(folder,
                                          {.dataset = materials.dataset.digest(),
                                           .tokenizer = materials.tokenizer.digest()},
                                          materials.tokenizer_files));
  reporter.Info(absl::StrCat("checkpoint sha256:", digest));
  registry::Evidence evidence;
  evidence.job = job.job;
  evidence.request_id = job.job_id;  // a repeated attempt gets the first one's answer
  evidence.metrics = {{"loss", outcome.loss},
                      {"tokens", static_cast<double>(outcome.tokens)},
                      {"steps", static_cast<double>(outcome.steps)},
                      {"training_seconds", outcome.seconds}};
  if (outcome.held_out_loss > 0) evidence.metrics["held_out_loss"] = outcome.held_out_loss;
  FLOE_ASSIGN_OR_RETURN(
      const pb::ModelVersion version,
      registry::PublishCheckpoint(registry, CallFor(job, kTransferTime),
                                  absl::StrCat("teams/", job.team, "/models/", spec.model), folder,
                                  evidence));
  reporter.Info(absl::StrCat("published ", version.name()));
  return version.name();
}

}  // namespace

std::string PretrainExecutor::kind() const { return std::string(trainer::kPretrainJobKind); }

absl::StatusOr<std::string> PretrainExecutor::Execute(const Assignment& job, Reporter& reporter,
                                                      std::stop_token stop) {
  FLOE_ASSIGN_OR_RETURN(const trainer::PretrainSpec spec, trainer::ParsePretrainSpec(job.spec));
  FLOE_RETURN_IF_ERROR(trainer::JudgeDeviceOfThisMachine(spec.train.device, spec.train.processes));
  FLOE_ASSIGN_OR_RETURN(const Materials materials, Fetch(registry_, job, spec, reporter));
  FLOE_ASSIGN_OR_RETURN(const trainer::TokenizedCorpus tokens,
                        Tokenize(job, materials, spec, threads_, reporter, stop));
  trainer::PretrainOptions options;
  options.blueprint = spec.blueprint;
  options.blueprint.vocab_size = materials.encoder->vocab_size();
  options.settings = spec.train;
  options.train_tokens = tokens.train;
  options.held_out_tokens = tokens.held_out;
  options.state_folder = job.folder / "states";
  options.data = absl::StrCat(materials.dataset.digest(), " ", materials.tokenizer.digest());
  options.threads = std::max(1, threads_ / static_cast<int>(spec.train.processes));
  FLOE_ASSIGN_OR_RETURN(Ranks ranks, StartRanks(job, materials, options, stop));
  options.group = ranks.group.get();
  FLOE_ASSIGN_OR_RETURN(const auto pretrainer,
                        trainer::Pretrainer::Create(options, *materials.encoder, clock_));
  reporter.Info(absl::StrFormat("%s transformer of %d parameters, %d threads in %d processes",
                                std::string(model::FamilyName(options.blueprint.family)),
                                model::CountParameters(options.blueprint).Total(), options.threads,
                                spec.train.processes));
  EventsOfTraining observer(reporter, trainer::DeviceName(spec.train.device, threads_));
  const auto outcome = pretrainer->Run(observer, stop);
  FLOE_RETURN_IF_ERROR(ranks.others.Explain(outcome.status()));
  return Publish(registry_, job, spec, materials, *pretrainer, *outcome, reporter);
}

}  // namespace floe::runner
