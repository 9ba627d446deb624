#include "services/alignment/inspect_kind.h"

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "services/alignment/references.h"
#include "tokenizer/documents.h"
#include "trainer/alignment/spec/inspect_spec.h"

namespace floe::services::alignment {

std::string InspectKind::name() const { return std::string(trainer::kInspectJobKind); }

absl::StatusOr<std::string> InspectKind::Validate(const runtime::CallContext& call,
                                                  const std::string& team,
                                                  const std::string& text) {
  FLOE_ASSIGN_OR_RETURN(trainer::InspectSpec spec, trainer::ParseInspectSpec(text));
  References references(registry_, call, team);
  FLOE_ASSIGN_OR_RETURN(const auto version, references.Version("model", spec.model));
  spec.model = Pinned(version);
  if (!spec.against.empty()) {
    FLOE_ASSIGN_OR_RETURN(const auto against, references.Version("against", spec.against));
    spec.against = Pinned(against);
  }
  FLOE_ASSIGN_OR_RETURN(const auto dataset, references.Dataset("dataset", spec.dataset));
  if (!tokenizer::TextFormatFromName(dataset.format())) {
    return absl::FailedPreconditionError(
        absl::StrCat(dataset.name(), " has the format ", dataset.format(),
                     "; a model is inspected on plain text: give a dataset of format text or "
                     "jsonl"));
  }
  spec.dataset = Pinned(dataset);
  return trainer::InspectSpecJson(spec);
}

}  // namespace floe::services::alignment
