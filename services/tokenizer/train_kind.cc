#include "services/tokenizer/train_kind.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "services/runtime/client.h"
#include "tokenizer/documents.h"
#include "tokenizer/train_spec.h"

namespace floe::services::tokenizer {
namespace {

constexpr absl::Duration kRegistryTime = absl::Seconds(10);

}  // namespace

std::string TrainKind::name() const { return std::string(floe::tokenizer::kTrainJobKind); }

absl::StatusOr<jobs::CheckedSpec> TrainKind::Validate(const runtime::CallContext& call,
                                                      const std::string& team,
                                                      const std::string& text) {
  FLOE_ASSIGN_OR_RETURN(floe::tokenizer::TrainSpec spec, floe::tokenizer::ParseTrainSpec(text));
  const std::string prefix = absl::StrCat("teams/", team, "/datasets/");
  if (!absl::StartsWith(spec.dataset, "teams/")) spec.dataset = prefix + spec.dataset;
  if (!absl::StartsWith(spec.dataset, prefix)) {
    return absl::InvalidArgumentError(absl::StrCat("dataset is \"", spec.dataset,
                                                   "\"; a job of teams/", team,
                                                   " trains on a dataset of that team"));
  }
  auto outgoing = runtime::OutgoingCall::From(call, kRegistryTime);
  outgoing.identity.team = team;  // also when a service asks on its own behalf
  const auto dataset = registry_.GetDataset(outgoing, spec.dataset);
  if (absl::IsNotFound(dataset.status())) {
    return WithReason(absl::NotFoundError(absl::StrCat("dataset: there is no ", spec.dataset,
                                                       "; register it first (floe data import)")),
                      "DATASET_NOT_FOUND", {{"dataset", spec.dataset}});
  }
  FLOE_RETURN_IF_ERROR(dataset.status());
  if (!floe::tokenizer::TextFormatFromName(dataset->format())) {
    return absl::FailedPreconditionError(absl::StrCat(dataset->name(), " has the format \"",
                                                      dataset->format(),
                                                      "\"; a tokenizer learns from text or jsonl"));
  }
  spec.dataset = absl::StrCat(dataset->name(), "@sha256:", dataset->digest());
  return floe::tokenizer::TrainSpecJson(spec);
}

}  // namespace floe::services::tokenizer
