#include "services/trainer/pretrain_kind.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "services/runtime/client.h"
#include "tokenizer/documents.h"
#include "trainer/spec/pretrain_spec.h"

namespace floe::services::trainer {
namespace {

constexpr absl::Duration kRegistryTime = absl::Seconds(10);

// `reference` as a resource name of the team: wordnet -> teams/nlp/datasets/wordnet. `what` is the
// key it stands under.
absl::StatusOr<std::string> NameInTeam(const std::string& team, const std::string& what,
                                       const std::string& reference) {
  const std::string prefix = absl::StrCat("teams/", team, "/", what, "s/");
  if (!absl::StartsWith(reference, "teams/")) return prefix + reference;
  if (absl::StartsWith(reference, prefix)) return reference;
  return absl::InvalidArgumentError(absl::StrCat(what, " is \"", reference, "\"; a job of teams/",
                                                 team, " trains on a ", what, " of that team"));
}

// NOT_FOUND that names what to do first; other errors as they are.
absl::Status Explain(const absl::Status& status, const std::string& what, const std::string& name,
                     const std::string& command) {
  if (!absl::IsNotFound(status)) return status;
  return WithReason(absl::NotFoundError(absl::StrCat(what, ": there is no ", name,
                                                     "; make it first (", command, ")")),
                    absl::AsciiStrToUpper(what) + "_NOT_FOUND", {{what, name}});
}

}  // namespace

std::string PretrainKind::name() const { return std::string(floe::trainer::kPretrainJobKind); }

absl::StatusOr<std::string> PretrainKind::Validate(const runtime::CallContext& call,
                                                   const std::string& team,
                                                   const std::string& text) {
  FLOE_ASSIGN_OR_RETURN(floe::trainer::PretrainSpec spec, floe::trainer::ParsePretrainSpec(text));
  auto outgoing = runtime::OutgoingCall::From(call, kRegistryTime);
  outgoing.identity.team = team;  // also when a service asks on its own behalf

  FLOE_ASSIGN_OR_RETURN(const std::string dataset_name, NameInTeam(team, "dataset", spec.dataset));
  const auto dataset = registry_.GetDataset(outgoing, dataset_name);
  FLOE_RETURN_IF_ERROR(Explain(dataset.status(), "dataset", dataset_name, "floe data import"));
  if (!floe::tokenizer::TextFormatFromName(dataset->format())) {
    return absl::FailedPreconditionError(absl::StrCat(dataset->name(), " has the format \"",
                                                      dataset->format(),
                                                      "\"; a model learns from text or jsonl"));
  }

  FLOE_ASSIGN_OR_RETURN(const std::string tokenizer_name,
                        NameInTeam(team, "tokenizer", spec.tokenizer));
  const auto tokenizer = registry_.GetTokenizer(outgoing, tokenizer_name);
  FLOE_RETURN_IF_ERROR(
      Explain(tokenizer.status(), "tokenizer", tokenizer_name, "floe tokenizer train"));
  model::Blueprint blueprint = spec.blueprint;
  blueprint.vocab_size = tokenizer->vocab_size();
  FLOE_RETURN_IF_ERROR(blueprint.Validate());

  spec.dataset = absl::StrCat(dataset->name(), "@sha256:", dataset->digest());
  spec.tokenizer = absl::StrCat(tokenizer->name(), "@sha256:", tokenizer->digest());
  return floe::trainer::PretrainSpecJson(spec);
}

}  // namespace floe::services::trainer
