#include "services/alignment/evaluate_kind.h"

#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "services/alignment/references.h"
#include "trainer/alignment/spec/evaluate_spec.h"
#include "trainer/evaluation/evaluate.h"

namespace floe::services::alignment {

std::string EvaluateKind::name() const { return std::string(trainer::kEvaluateJobKind); }

absl::StatusOr<jobs::CheckedSpec> EvaluateKind::Validate(const runtime::CallContext& call,
                                                         const std::string& team,
                                                         const std::string& text) {
  FLOE_ASSIGN_OR_RETURN(trainer::EvaluateSpec spec, trainer::ParseEvaluateSpec(text));
  References references(registry_, call, team);
  std::vector<absl::Status> found;
  for (std::string& model : spec.models) {
    const auto version = references.Version("models", model);
    found.push_back(version.status());
    if (version.ok()) model = Pinned(*version);
  }
  for (std::string& name : spec.datasets) {
    const auto dataset = references.Dataset("datasets", name);
    found.push_back(dataset.status());
    if (!dataset.ok()) continue;
    if (const auto task = trainer::EvaluationTask(dataset->format()); !task.ok()) {
      found.push_back(absl::FailedPreconditionError(
          absl::StrCat(dataset->name(), ": ", task.status().message())));
    }
    name = Pinned(*dataset);
  }
  FLOE_RETURN_IF_ERROR(jobs::AllMistakes(found));
  return trainer::EvaluateSpecJson(spec);
}

}  // namespace floe::services::alignment
