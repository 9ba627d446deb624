#include "services/alignment/evaluate_kind.h"

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "services/alignment/references.h"
#include "trainer/alignment/spec/evaluate_spec.h"
#include "trainer/evaluation/evaluate.h"

namespace floe::services::alignment {

std::string EvaluateKind::name() const { return std::string(trainer::kEvaluateJobKind); }

absl::StatusOr<std::string> EvaluateKind::Validate(const runtime::CallContext& call,
                                                   const std::string& team,
                                                   const std::string& text) {
  FLOE_ASSIGN_OR_RETURN(trainer::EvaluateSpec spec, trainer::ParseEvaluateSpec(text));
  References references(registry_, call, team);
  for (std::string& model : spec.models) {
    FLOE_ASSIGN_OR_RETURN(const auto version, references.Version("models", model));
    model = Pinned(version);
  }
  for (std::string& name : spec.datasets) {
    FLOE_ASSIGN_OR_RETURN(const auto dataset, references.Dataset("datasets", name));
    const auto task = trainer::EvaluationTask(dataset.format());
    if (!task.ok()) {
      return absl::FailedPreconditionError(
          absl::StrCat(dataset.name(), ": ", task.status().message()));
    }
    name = Pinned(dataset);
  }
  return trainer::EvaluateSpecJson(spec);
}

}  // namespace floe::services::alignment
