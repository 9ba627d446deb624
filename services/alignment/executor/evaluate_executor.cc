#include "services/alignment/executor/evaluate_executor.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/files.h"
#include "base/status_macros.h"
#include "services/alignment/executor/base_checkpoint.h"
#include "services/runner/job_inputs.h"
#include "tokenizer/chat_template.h"
#include "trainer/alignment/spec/evaluate_spec.h"
#include "trainer/evaluation/evaluate.h"

namespace floe::runner {
namespace {

namespace pb = ::floe::registry::v1;

// Progress is told in thousandths of one evaluation.
constexpr int64_t kStepsEach = 1000;

// teams/nlp/models/lexicon/versions/3 -> lexicon@3; teams/nlp/datasets/wordnet -> wordnet.
std::string Short(const std::string& name) {
  const std::string last = name.substr(name.rfind('/') + 1);
  const size_t models = name.find("/models/"), versions = name.find("/versions/");
  if (models == std::string::npos || versions == std::string::npos) return last;
  return absl::StrCat(name.substr(models + 8, versions - models - 8), "@", last);
}

std::string Numbers(const std::map<std::string, double>& metrics) {
  std::string text;
  for (const auto& [name, value] : metrics) {
    absl::StrAppendFormat(&text, "%s%s %.4f", text.empty() ? "" : ", ", name, value);
  }
  return text;
}

}  // namespace

std::string EvaluateExecutor::kind() const { return std::string(trainer::kEvaluateJobKind); }

absl::StatusOr<std::string> EvaluateExecutor::Execute(const Assignment& job, Reporter& reporter,
                                                      std::stop_token stop) {
  FLOE_ASSIGN_OR_RETURN(const trainer::EvaluateSpec spec, trainer::ParseEvaluateSpec(job.spec));
  const auto all = static_cast<int64_t>(spec.models.size() * spec.datasets.size());
  int64_t done = 0;
  trainer::EvaluationOptions options;
  options.batch_size = spec.batch_size;
  options.stop = stop;
  options.on_progress = [&](int64_t texts, int64_t total) {
    jobs::Progress progress;
    progress.step = done * kStepsEach + texts * kStepsEach / std::max<int64_t>(1, total);
    progress.steps = all * kStepsEach;
    progress.metrics["texts"] = static_cast<double>(texts);
    reporter.Progress(std::move(progress));
  };
  std::string result;
  for (const std::string& reference : spec.models) {
    FLOE_ASSIGN_OR_RETURN(const PinnedVersion model, FetchVersion(registry_, job, reference));
    WorkerScorer scorer(workers_, model.version.digest(), CallFor(job, kAskTime).identity);
    const trainer::EvaluationModel scored{scorer, *model.tokenizer,
                                          model.manifest.blueprint.context, model.chat};
    for (const std::string& name : spec.datasets) {
      FLOE_ASSIGN_OR_RETURN(const pb::Dataset dataset,
                            registry_.GetDataset(CallFor(job, kAskTime), name));
      FLOE_ASSIGN_OR_RETURN(const std::string task, trainer::EvaluationTask(dataset.format()));
      FLOE_ASSIGN_OR_RETURN(const auto path,
                            FetchFile(registry_, job, dataset.digest(), dataset.digest()));
      FLOE_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
      auto evaluated = trainer::EvaluateFile(scored, file.bytes(), dataset.format(), options);
      if (!evaluated.ok()) {
        return absl::Status(evaluated.status().code(),
                            absl::StrCat(Short(model.version.name()), " on ", Short(dataset.name()),
                                         ": ", evaluated.status().message()));
      }
      pb::CreateEvaluationRequest request;
      request.set_parent(absl::StrCat("teams/", job.team));
      pb::Evaluation& evaluation = *request.mutable_evaluation();
      evaluation.set_model_digest(model.version.digest());
      evaluation.set_tokenizer_digest(model.tokenizer_digest);
      if (task != "text") evaluation.set_template_digest(model.chat.digest());
      evaluation.set_dataset_digest(dataset.digest());
      evaluation.set_task(task);
      evaluation.mutable_metrics()->insert(evaluated->metrics.begin(), evaluated->metrics.end());
      evaluation.set_examples(evaluated->examples);
      evaluation.set_tokens(evaluated->tokens);
      evaluation.set_job(job.job);
      FLOE_ASSIGN_OR_RETURN(const pb::Evaluation kept,
                            registry_.CreateEvaluation(CallFor(job, kAskTime), request));
      reporter.Info(absl::StrFormat("%s on %s: %s (%d examples)", Short(model.version.name()),
                                    Short(dataset.name()), Numbers(evaluated->metrics),
                                    evaluated->examples));
      result = kept.name();
      ++done;
    }
  }
  return result;
}

}  // namespace floe::runner
