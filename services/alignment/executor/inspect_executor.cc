#include "services/alignment/executor/inspect_executor.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/files.h"
#include "base/status_macros.h"
#include "services/alignment/executor/base_checkpoint.h"
#include "services/runner/job_inputs.h"
#include "trainer/alignment/spec/inspect_spec.h"
#include "trainer/compute.h"
#include "trainer/inspection/inspect.h"

namespace floe::runner {
namespace {

namespace pb = ::floe::registry::v1;

// One attempt.
struct Attempt {
  registry::RegistryClient& registry;
  const Assignment& job;
  Reporter& reporter;
  std::stop_token stop;

  void Done(int64_t step) const {
    jobs::Progress progress;
    progress.step = step;
    progress.steps = 2;
    reporter.Progress(std::move(progress));
  }
};

absl::StatusOr<trainer::Inspection> InspectVersion(const Attempt& attempt,
                                                   const pb::ModelVersion& version,
                                                   const std::string& folder,
                                                   const trainer::InspectionText& text) {
  FLOE_ASSIGN_OR_RETURN(
      const model::Checkpoint checkpoint,
      FetchCheckpoint(attempt.registry, attempt.job, version, attempt.job.folder / folder));
  FLOE_ASSIGN_OR_RETURN(trainer::Inspection seen,
                        trainer::InspectCheckpoint(checkpoint, text, attempt.stop));
  seen.subject = version.name();
  return seen;
}

absl::StatusOr<trainer::Inspection> Before(const Attempt& attempt, const trainer::InspectSpec& spec,
                                           const PinnedVersion& model,
                                           const trainer::InspectionText& text) {
  if (spec.against.empty()) {
    FLOE_ASSIGN_OR_RETURN(
        trainer::Inspection seen,
        trainer::InspectFresh(model.manifest.blueprint, spec.seed, text, attempt.stop));
    seen.subject = absl::StrCat("fresh weights, seed ", spec.seed);
    return seen;
  }
  FLOE_ASSIGN_OR_RETURN(const PinnedVersion against,
                        FetchVersion(attempt.registry, attempt.job, spec.against));
  if (against.tokenizer_digest != model.tokenizer_digest) {
    return absl::FailedPreconditionError(
        absl::StrCat(against.version.name(), " has another tokenizer than ", model.version.name(),
                     ", so the two read different ids; compare versions of one tokenizer"));
  }
  return InspectVersion(attempt, against.version, "against", text);
}

// The strongest head of a role.
double Strongest(const trainer::Inspection& seen, double trainer::HeadRoles::*role) {
  double strongest = 0;
  for (const trainer::LayerRoles& layer : seen.layers) {
    for (const trainer::HeadRoles& head : layer.heads) {
      strongest = std::max(strongest, head.*role);
    }
  }
  return strongest;
}

void AddMetrics(const trainer::InspectionReport& report,
                google::protobuf::Map<std::string, double>& metrics) {
  for (const auto& [prefix, seen] : {std::pair{"", &report.after}, {"before_", &report.before}}) {
    metrics[absl::StrCat(prefix, "loss")] = seen->loss;
    metrics[absl::StrCat(prefix, "embedding_rms")] = seen->embedding_rms;
    metrics[absl::StrCat(prefix, "strongest_previous_token")] =
        Strongest(*seen, &trainer::HeadRoles::previous_token);
    metrics[absl::StrCat(prefix, "strongest_induction")] =
        Strongest(*seen, &trainer::HeadRoles::induction);
  }
}

}  // namespace

std::string InspectExecutor::kind() const { return std::string(trainer::kInspectJobKind); }

absl::StatusOr<std::string> InspectExecutor::Execute(const Assignment& job, Reporter& reporter,
                                                     std::stop_token stop) {
  FLOE_ASSIGN_OR_RETURN(const trainer::InspectSpec spec, trainer::ParseInspectSpec(job.spec));
  FLOE_RETURN_IF_ERROR(trainer::ConfigureCompute(threads_));
  const Attempt attempt{registry_, job, reporter, stop};
  FLOE_ASSIGN_OR_RETURN(const PinnedVersion model, FetchVersion(registry_, job, spec.model));
  FLOE_ASSIGN_OR_RETURN(const pb::Dataset dataset,
                        registry_.GetDataset(CallFor(job, kAskTime), spec.dataset));
  const auto format = tokenizer::TextFormatFromName(dataset.format());
  if (!format) {
    return absl::FailedPreconditionError(
        absl::StrCat(dataset.name(), " is no plain text but ", dataset.format()));
  }
  FLOE_ASSIGN_OR_RETURN(const auto path, FetchFile(registry_, job, dataset.digest(), "dataset"));
  FLOE_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  FLOE_ASSIGN_OR_RETURN(
      std::vector<int64_t> ids,
      trainer::InspectedIds(*model.tokenizer, file.bytes(), *format, spec.tokens));
  const trainer::InspectionText text{std::move(ids), *model.tokenizer, spec.seed};

  trainer::InspectionReport report;
  report.text_tokens = static_cast<int64_t>(text.ids.size());
  FLOE_ASSIGN_OR_RETURN(report.before, Before(attempt, spec, model, text));
  attempt.Done(1);
  FLOE_ASSIGN_OR_RETURN(report.after, InspectVersion(attempt, model.version, "model", text));
  attempt.Done(2);
  reporter.Info(absl::StrFormat("loss on the text: %.4f, of %s %.4f", report.after.loss,
                                report.before.subject, report.before.loss));

  pb::CreateEvaluationRequest request;
  request.set_parent(absl::StrCat("teams/", job.team));
  pb::Evaluation& evaluation = *request.mutable_evaluation();
  evaluation.set_model_digest(model.version.digest());
  evaluation.set_tokenizer_digest(model.tokenizer_digest);
  evaluation.set_dataset_digest(dataset.digest());
  evaluation.set_task(std::string(trainer::kInspectJobKind));
  AddMetrics(report, *evaluation.mutable_metrics());
  evaluation.set_examples(1);
  evaluation.set_tokens(report.text_tokens);
  evaluation.set_job(job.job);
  evaluation.set_report(trainer::InspectionJson(report));
  FLOE_ASSIGN_OR_RETURN(const pb::Evaluation kept,
                        registry_.CreateEvaluation(CallFor(job, kAskTime), request));
  return kept.name();
}

}  // namespace floe::runner
