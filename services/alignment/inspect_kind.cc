#include "services/alignment/inspect_kind.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "services/alignment/references.h"
#include "tokenizer/documents.h"
#include "trainer/alignment/spec/inspect_spec.h"

namespace floe::services::alignment {

std::string InspectKind::name() const { return std::string(trainer::kInspectJobKind); }

absl::StatusOr<jobs::CheckedSpec> InspectKind::Validate(const runtime::CallContext& call,
                                                        const std::string& team,
                                                        const std::string& text) {
  FLOE_ASSIGN_OR_RETURN(trainer::InspectSpec spec, trainer::ParseInspectSpec(text));
  References references(registry_, call, team);
  std::vector<absl::Status> found;
  for (auto [key, model] : {std::pair("model", &spec.model), std::pair("against", &spec.against)}) {
    if (model->empty()) continue;
    const auto version = references.Version(key, *model);
    found.push_back(version.status());
    if (version.ok()) *model = Pinned(*version);
  }
  const auto dataset = references.Dataset("dataset", spec.dataset);
  found.push_back(dataset.status());
  if (dataset.ok() && !tokenizer::TextFormatFromName(dataset->format())) {
    found.push_back(absl::FailedPreconditionError(
        absl::StrCat(dataset->name(), " has the format ", dataset->format(),
                     "; a model is inspected on plain text: give a dataset of format text or "
                     "jsonl")));
  }
  FLOE_RETURN_IF_ERROR(jobs::AllMistakes(found));
  spec.dataset = Pinned(*dataset);
  return trainer::InspectSpecJson(spec);
}

}  // namespace floe::services::alignment
