#include "services/trainer/pretrain_kind.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "services/runtime/client.h"
#include "tokenizer/documents.h"
#include "trainer/spec/memory.h"
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

// What cannot be enough, whatever the tokenizer: a token stands for a byte or more, or ends a
// document.
absl::Status CheckLength(const registry::v1::Dataset& dataset,
                         const floe::trainer::TrainSettings& train) {
  if (dataset.size_bytes() + dataset.documents() > train.sequence_length) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("dataset: ", dataset.name(), " has ", dataset.size_bytes(),
                   " bytes, which is too little for one sequence of sequence_length ",
                   train.sequence_length, ": add text or shorten it"));
}

std::string MemoryRemedy(const floe::trainer::TrainSettings& train) {
  return absl::StrCat(
      "lower batch_size and raise gradient_accumulation by as much, shorten sequence_length, ",
      train.activation_checkpointing ? "" : "set activation_checkpointing: true, ",
      "or choose smaller dials; `floe plan --job` shows what they cost");
}

}  // namespace

std::string PretrainKind::name() const { return std::string(floe::trainer::kPretrainJobKind); }

absl::StatusOr<jobs::CheckedSpec> PretrainKind::Validate(const runtime::CallContext& call,
                                                         const std::string& team,
                                                         const std::string& text) {
  floe::trainer::PretrainSpec spec;
  const absl::Status legible = floe::trainer::ReadPretrainSpec(text, spec);
  auto outgoing = runtime::OutgoingCall::From(call, kRegistryTime);
  outgoing.identity.team = team;  // also when a service asks on its own behalf
  std::vector<absl::Status> found = {legible};
  absl::StatusOr<registry::v1::Dataset> dataset;
  if (!spec.dataset.empty()) {
    dataset = FindDataset(registry_, outgoing, team, spec.dataset);
    found.push_back(dataset.status());
    if (dataset.ok() && legible.ok()) found.push_back(CheckLength(*dataset, spec.train));
  }
  absl::StatusOr<registry::v1::Tokenizer> tokenizer;
  if (!spec.tokenizer.empty()) {
    tokenizer = FindTokenizer(registry_, outgoing, team, spec.tokenizer);
    found.push_back(tokenizer.status());
  }
  int64_t memory_bytes = 0;
  if (legible.ok() && tokenizer.ok()) {
    model::Blueprint blueprint = spec.blueprint;
    blueprint.vocab_size = tokenizer->vocab_size();
    absl::Status fits = blueprint.Validate();
    FLOE_ASSIGN_OR_RETURN(const int64_t memory_mib, memory_.LargestMib(name()));
    if (fits.ok()) {
      const floe::trainer::MemoryNeed need = floe::trainer::MemoryNeedOf(blueprint, spec.train);
      fits = floe::trainer::CheckMemory(need, memory_mib, MemoryRemedy(spec.train));
      memory_bytes = need.Total();
    }
    found.push_back(fits);
  }
  FLOE_RETURN_IF_ERROR(jobs::AllMistakes(found));

  spec.dataset = absl::StrCat(dataset->name(), "@sha256:", dataset->digest());
  spec.tokenizer = absl::StrCat(tokenizer->name(), "@sha256:", tokenizer->digest());
  return jobs::CheckedSpec(floe::trainer::PretrainSpecJson(spec), memory_bytes);
}

}  // namespace floe::services::trainer
