#include "services/trainer/pretrain_kind.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "services/runtime/client.h"
#include "services/trainer/memory_check.h"
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

absl::StatusOr<registry::v1::Dataset> FindDataset(registry::RegistryClient& registry,
                                                  const runtime::OutgoingCall& call,
                                                  const std::string& team,
                                                  const std::string& reference) {
  FLOE_ASSIGN_OR_RETURN(const std::string name, NameInTeam(team, "dataset", reference));
  auto dataset = registry.GetDataset(call, name);
  FLOE_RETURN_IF_ERROR(Explain(dataset.status(), "dataset", name, "floe data import"));
  if (floe::tokenizer::TextFormatFromName(dataset->format())) return dataset;
  return absl::FailedPreconditionError(absl::StrCat(dataset->name(), " has the format \"",
                                                    dataset->format(),
                                                    "\"; a model learns from text or jsonl"));
}

absl::StatusOr<registry::v1::Tokenizer> FindTokenizer(registry::RegistryClient& registry,
                                                      const runtime::OutgoingCall& call,
                                                      const std::string& team,
                                                      const std::string& reference) {
  FLOE_ASSIGN_OR_RETURN(const std::string name, NameInTeam(team, "tokenizer", reference));
  auto tokenizer = registry.GetTokenizer(call, name);
  FLOE_RETURN_IF_ERROR(Explain(tokenizer.status(), "tokenizer", name, "floe tokenizer train"));
  return tokenizer;
}

bool IsMistake(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsInvalidArgument(status) ||
         absl::IsFailedPrecondition(status);
}

// One mistake as it is; several under one another. What is no mistake of the person goes before.
absl::Status AllOf(const std::vector<absl::Status>& found) {
  std::vector<absl::Status> mistakes;
  for (const absl::Status& status : found) {
    if (status.ok()) continue;
    if (!IsMistake(status)) return status;
    mistakes.push_back(status);
  }
  if (mistakes.empty()) return absl::OkStatus();
  if (mistakes.size() == 1) return mistakes[0];
  const auto text = [](std::string* out, const absl::Status& one) {
    out->append(one.message().data(), one.message().size());
  };
  const bool alike = std::all_of(mistakes.begin(), mistakes.end(), [&](const absl::Status& one) {
    return one.code() == mistakes[0].code();
  });
  return absl::Status(alike ? mistakes[0].code() : absl::StatusCode::kInvalidArgument,
                      absl::StrJoin(mistakes, "\n", text));
}

}  // namespace

std::string PretrainKind::name() const { return std::string(floe::trainer::kPretrainJobKind); }

absl::StatusOr<int64_t> PretrainKind::RunnerMemoryMib() {
  FLOE_ASSIGN_OR_RETURN(const int64_t told,
                        parts_.runners.LargestMemory(name(), parts_.clock.Now()));
  return told > 0 ? told >> 20 : parts_.usual_memory_mib;
}

absl::StatusOr<std::string> PretrainKind::Validate(const runtime::CallContext& call,
                                                   const std::string& team,
                                                   const std::string& text) {
  FLOE_ASSIGN_OR_RETURN(floe::trainer::PretrainSpec spec, floe::trainer::ParsePretrainSpec(text));
  auto outgoing = runtime::OutgoingCall::From(call, kRegistryTime);
  outgoing.identity.team = team;  // also when a service asks on its own behalf
  const auto dataset = FindDataset(parts_.registry, outgoing, team, spec.dataset);
  const auto tokenizer = FindTokenizer(parts_.registry, outgoing, team, spec.tokenizer);
  absl::Status fits;
  if (tokenizer.ok()) {
    model::Blueprint blueprint = spec.blueprint;
    blueprint.vocab_size = tokenizer->vocab_size();
    fits = blueprint.Validate();
    FLOE_ASSIGN_OR_RETURN(const int64_t memory_mib, RunnerMemoryMib());
    if (fits.ok()) fits = CheckMemory(blueprint, spec.train, memory_mib);
  }
  FLOE_RETURN_IF_ERROR(AllOf({dataset.status(), tokenizer.status(), fits}));

  spec.dataset = absl::StrCat(dataset->name(), "@sha256:", dataset->digest());
  spec.tokenizer = absl::StrCat(tokenizer->name(), "@sha256:", tokenizer->digest());
  return floe::trainer::PretrainSpecJson(spec);
}

}  // namespace floe::services::trainer
