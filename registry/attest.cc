#include "registry/attest.h"

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"

namespace floe::registry {

absl::StatusOr<Evaluation> Attest::Create(const Caller& caller, const RequestKey& request,
                                          Evaluation evaluation) {
  FLOE_RETURN_IF_ERROR(CheckOwner(caller, evaluation.team, "teams/" + evaluation.team));
  FLOE_RETURN_IF_ERROR(Validate(evaluation));
  evaluation.id = EvaluationId(evaluation);
  evaluation.creator = caller.actor;
  evaluation.create_time = parts_.clock.Now();
  return parts_.evaluations.Create(request, evaluation);
}

absl::StatusOr<GatePolicy> Attest::SetPolicy(const Caller& caller, const RequestKey& request,
                                             const OwnedName& model, const std::string& text) {
  FLOE_RETURN_IF_ERROR(CheckOwner(caller, model.team, ModelName(model)));
  GatePolicy policy{.model = model, .text = text};
  if (!text.empty()) {
    FLOE_ASSIGN_OR_RETURN(policy.gates, ParseGates(text));
  }
  for (Gate& gate : policy.gates) {
    if (!gate.dataset_digest().empty()) continue;
    FLOE_ASSIGN_OR_RETURN(const Dataset dataset,
                          parts_.artifacts.GetDataset({{model.team, gate.dataset}, ""}));
    gate.dataset = absl::StrCat("sha256:", dataset.blob.digest);
  }
  policy.updater = caller.actor;
  policy.update_time = parts_.clock.Now();
  return parts_.gates.Set(request, policy);
}

}  // namespace floe::registry
