#include "services/alignment/executor/align_executor.h"

#include <filesystem>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/files.h"
#include "base/status_macros.h"
#include "services/alignment/executor/base_checkpoint.h"
#include "services/registry/client/checkpoint_transfer.h"
#include "services/runner/job_inputs.h"
#include "services/trainer/executor/training_events.h"
#include "trainer/alignment/aligner.h"
#include "trainer/compute.h"

namespace floe::runner {
namespace {

namespace pb = ::floe::registry::v1;

// What every part of one attempt needs.
struct Attempt {
  const Assignment& job;
  const trainer::AlignSpec& spec;
  registry::RegistryClient& registry;
  const tokenizer::Tokenizer& tokenizer;
  const tokenizer::ChatTemplate& chat;
  Reporter& reporter;
};

// A dataset's bytes.
struct Data {
  std::string key;  // dataset or held_out: the file's name, and what messages begin with
  std::string digest;
  MappedFile file;
};

absl::StatusOr<Data> FetchData(const Attempt& attempt, const std::string& key,
                               const std::string& reference) {
  FLOE_ASSIGN_OR_RETURN(const pb::Dataset dataset,
                        attempt.registry.GetDataset(CallFor(attempt.job, kAskTime), reference));
  FLOE_ASSIGN_OR_RETURN(const std::filesystem::path path,
                        FetchFile(attempt.registry, attempt.job, dataset.digest(), key));
  Data data{key, dataset.digest(), {}};
  FLOE_ASSIGN_OR_RETURN(data.file, MappedFile::Open(path));
  attempt.reporter.Info(absl::StrFormat("%s: %s, %d examples, digest verified", key, dataset.name(),
                                        dataset.documents()));
  return data;
}

absl::Status In(const std::string& key, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(key, ", ", status.message()));
}

trainer::Question QuestionOfChat(const trainer::ChatExample& example) {
  trainer::Question question{example.messages};
  while (!question.prompt.empty() && question.prompt.back().role == tokenizer::kAssistant) {
    question.prompt.pop_back();
  }
  return question;
}

trainer::Question QuestionOfPair(const trainer::PreferencePair& pair) { return {pair.prompt}; }

// How examples of one kind are read, rendered and asked.
template <typename Parsed, typename Example>
struct Form {
  absl::StatusOr<std::vector<Parsed>> (*parse)(std::string_view);
  absl::StatusOr<trainer::RenderedData<Example>> (*render)(const tokenizer::Tokenizer&,
                                                           std::span<const Parsed>,
                                                           trainer::RenderLimits);
  trainer::Question (*question)(const Parsed&);
};
constexpr Form<trainer::ChatExample, trainer::Rendered> kChats{
    trainer::ParseChats, trainer::RenderChats, QuestionOfChat};
constexpr Form<trainer::PreferencePair, trainer::RenderedPair> kPairs{
    trainer::ParsePreferences, trainer::RenderPairs, QuestionOfPair};

// The examples of one file, at most `most` of them (0: all). The first ones become questions.
template <typename Parsed, typename Example>
absl::StatusOr<std::vector<Example>> Prepare(const Attempt& attempt,
                                             const Form<Parsed, Example>& form, const Data& data,
                                             int64_t most,
                                             std::vector<trainer::Question>& questions) {
  auto parsed = form.parse(data.file.bytes());
  if (!parsed.ok()) return In(data.key, parsed.status());
  if (most > 0 && static_cast<int64_t>(parsed->size()) > most) {
    parsed->resize(static_cast<size_t>(most));
  }
  const trainer::RenderLimits limits{
      .max_tokens = attempt.spec.sequence_length,
      .too_long = attempt.spec.skip_too_long ? trainer::TooLong::kSkip : trainer::TooLong::kRefuse,
      .chat = attempt.chat};
  auto rendered = form.render(attempt.tokenizer, *parsed, limits);
  if (!rendered.ok()) return In(data.key, rendered.status());
  if (rendered->skipped > 0) {
    attempt.reporter.Log(
        "warning", absl::StrFormat("%s: %d examples of more than %d tokens are left out", data.key,
                                   rendered->skipped, limits.max_tokens));
  }
  questions.clear();
  for (const Parsed& example : *parsed) {
    if (static_cast<int64_t>(questions.size()) == attempt.spec.samples) break;
    questions.push_back(form.question(example));
  }
  return std::move(rendered->examples);
}

// The examples of both files; questions come from the held-out ones where there are some.
struct Material {
  trainer::AlignTask task;
  std::string dataset_digest;
  std::string identity;
  std::vector<trainer::Question> questions;
};

struct Files {
  Data train;
  std::optional<Data> held_out;
};

template <typename Parsed, typename Example, typename Task>
absl::Status Fill(const Attempt& attempt, const Form<Parsed, Example>& form, const Files& files,
                  Task task, Material& material) {
  FLOE_ASSIGN_OR_RETURN(task.train, Prepare(attempt, form, files.train, 0, material.questions));
  if (files.held_out) {
    FLOE_ASSIGN_OR_RETURN(task.held_out,
                          Prepare(attempt, form, *files.held_out, attempt.spec.held_out_examples,
                                  material.questions));
  }
  attempt.reporter.Info(absl::StrFormat("%d examples to learn from, %d held out", task.train.size(),
                                        task.held_out.size()));
  material.task = std::move(task);
  return absl::OkStatus();
}

absl::StatusOr<Material> MakeMaterial(trainer::AlignKind kind, const Attempt& attempt,
                                      const std::string& base_digest) {
  Files files;
  FLOE_ASSIGN_OR_RETURN(files.train, FetchData(attempt, "dataset", attempt.spec.dataset));
  if (!attempt.spec.held_out.empty()) {
    FLOE_ASSIGN_OR_RETURN(files.held_out, FetchData(attempt, "held_out", attempt.spec.held_out));
  }
  Material material;
  material.dataset_digest = files.train.digest;
  material.identity =
      absl::StrCat(trainer::AlignSpecJson(kind, attempt.spec), " base ", base_digest, " data ",
                   files.train.digest, " ", files.held_out ? files.held_out->digest : "none");
  if (kind == trainer::AlignKind::kSft) {
    FLOE_RETURN_IF_ERROR(Fill(attempt, kChats, files, trainer::SftTask(), material));
    return material;
  }
  trainer::DpoTask task;
  task.loss = attempt.spec.loss;
  task.reference = attempt.job.folder / "reference.json";
  FLOE_RETURN_IF_ERROR(Fill(attempt, kPairs, files, std::move(task), material));
  return material;
}

absl::StatusOr<std::string> Publish(const Attempt& attempt, const trainer::Aligner& aligner,
                                    const model::Parents& parents,
                                    const std::map<std::string, std::string>& tokenizer_files,
                                    const trainer::TrainOutcome& outcome) {
  const std::filesystem::path folder = attempt.job.folder / "checkpoint";
  std::error_code error;  // of an attempt that ended while it published
  std::filesystem::remove_all(folder, error);
  if (error) return ErrnoStatus(error.value(), "cannot clear " + folder.string());
  FLOE_ASSIGN_OR_RETURN(const std::string digest, aligner.Export(folder, parents, tokenizer_files));
  attempt.reporter.Info(absl::StrCat("checkpoint sha256:", digest));
  registry::Evidence evidence;
  evidence.job = attempt.job.job;
  evidence.request_id = attempt.job.job_id;  // a repeated attempt gets the first one's answer
  evidence.metrics = outcome.metrics;
  evidence.metrics["loss"] = outcome.loss;
  evidence.metrics["tokens"] = static_cast<double>(outcome.tokens);
  evidence.metrics["steps"] = static_cast<double>(outcome.steps);
  evidence.metrics["training_seconds"] = outcome.seconds;
  if (outcome.held_out_loss > 0) evidence.metrics["held_out_loss"] = outcome.held_out_loss;
  FLOE_ASSIGN_OR_RETURN(
      const pb::ModelVersion version,
      registry::PublishCheckpoint(
          attempt.registry, CallFor(attempt.job, kTransferTime),
          absl::StrCat("teams/", attempt.job.team, "/models/", attempt.spec.model), folder,
          evidence));
  attempt.reporter.Info(absl::StrCat("published ", version.name()));
  return version.name();
}

}  // namespace

std::string AlignExecutor::kind() const {
  return std::string(kind_ == trainer::AlignKind::kSft ? trainer::kSftJobKind
                                                       : trainer::kDpoJobKind);
}

absl::StatusOr<std::string> AlignExecutor::Execute(const Assignment& job, Reporter& reporter,
                                                   std::stop_token stop) {
  FLOE_ASSIGN_OR_RETURN(trainer::AlignSpec spec, trainer::ParseAlignSpec(kind_, job.spec));
  FLOE_ASSIGN_OR_RETURN(const PinnedVersion base, FetchVersion(registry_, job, spec.base));
  FLOE_ASSIGN_OR_RETURN(const model::Checkpoint checkpoint,
                        FetchCheckpoint(registry_, job, base.version, job.folder / "base"));
  reporter.Info(absl::StrCat("base ", base.version.name(), ", sha256:", checkpoint.digest()));
  if (spec.sequence_length == 0) spec.sequence_length = checkpoint.blueprint().context;
  const Attempt attempt{job, spec, registry_, *base.tokenizer, base.chat, reporter};
  FLOE_ASSIGN_OR_RETURN(Material material, MakeMaterial(kind_, attempt, checkpoint.digest()));
  if (stop.stop_requested()) return absl::CancelledError("asked to stop before training");
  trainer::AlignOptions options;
  options.settings = spec.train;
  options.state_folder = job.folder / "states";
  options.identity = material.identity;
  options.questions = std::move(material.questions);
  options.chat = base.chat;
  options.threads = threads_;
  FLOE_ASSIGN_OR_RETURN(const auto aligner,
                        trainer::Aligner::Create(checkpoint, *base.tokenizer,
                                                 std::move(material.task), options, clock_));
  EventsOfTraining observer(reporter, trainer::DeviceName(trainer::DeviceKind::kCpu, threads_));
  FLOE_ASSIGN_OR_RETURN(const trainer::TrainOutcome outcome, aligner->Run(observer, stop));
  return Publish(attempt, *aligner,
                 {.checkpoint = checkpoint.digest(),
                  .dataset = material.dataset_digest,
                  .tokenizer = base.tokenizer_digest},
                 base.tokenizer_files, outcome);
}

}  // namespace floe::runner
