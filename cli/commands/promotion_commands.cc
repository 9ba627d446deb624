// floe models promote | rollback | gate set | gate show
#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/commands/commands.h"
#include "cli/commands/model_reference.h"
#include "cli/output/human.h"
#include "cli/output/resource_json.h"
#include "cli/output/table.h"

#include "base/files.h"
#include "base/status_macros.h"

namespace floe::cli {
namespace {

namespace pb = registry::v1;
using Stub = pb::RegistryService::Stub;

constexpr uint64_t kMaxPolicyBytes = 1 << 16;

struct PromoteFlags {
  std::string model;
  std::string alias = "production";
  std::string reason;
  bool override_gates = false;
};

// Says where the alias points now, and what its gates had said to it.
void TellMove(Session& session, const pb::Alias& alias) {
  if (session.json) {
    session.PrintJson(ToJson(alias));
    return;
  }
  std::string before;
  const bool moved = !alias.history().empty();
  if (moved && !alias.history(0).from_version().empty()) {
    before = absl::StrCat("  (before: ", ShortVersion(alias.history(0).from_version()), ")");
  }
  session.out() << LastId(ModelOf(alias.version())) << "@" << LastId(alias.name()) << " is now "
                << ShortVersion(alias.version()) << ", sha256:" << alias.digest() << before << "\n";
  if (!moved) return;
  for (const std::string& failure : alias.history(0).failures()) {
    session.out() << "  though " << failure << "\n";
  }
}

absl::Status Promote(Session& session, const PromoteFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  FLOE_ASSIGN_OR_RETURN(const pb::ModelVersion version, ResolveVersion(*door, flags.model));
  pb::SetAliasRequest request;
  request.set_name(absl::StrCat(ModelOf(version.name()), "/aliases/", flags.alias));
  request.set_version(version.name());
  request.set_reason(flags.reason);
  request.set_override(flags.override_gates);
  request.set_request_id(NewRequestId());
  FLOE_ASSIGN_OR_RETURN(const pb::Alias alias,
                        door->Ask(door->registry(), &Stub::SetAlias, request));
  TellMove(session, alias);
  return absl::OkStatus();
}

struct RollbackFlags : PromoteFlags {
  int64_t to = 0;
};

// Undoes the newest move. Gates do not hold it up: what it goes back to served before.
absl::Status Rollback(Session& session, const RollbackFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  FLOE_ASSIGN_OR_RETURN(const std::string model, session.ResourceName("models", flags.model));
  pb::GetAliasRequest get;
  get.set_name(absl::StrCat(model, "/aliases/", flags.alias));
  FLOE_ASSIGN_OR_RETURN(const pb::Alias now, door->Ask(door->registry(), &Stub::GetAlias, get));
  std::string to = flags.to > 0 ? absl::StrCat(model, "/versions/", flags.to) : "";
  if (to.empty() && !now.history().empty()) to = now.history(0).from_version();
  if (to.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(get.name(), " has only ever pointed at ",
                                                      ShortVersion(now.version()),
                                                      "; name a version with --to"));
  }
  pb::SetAliasRequest request;
  request.set_name(get.name());
  request.set_version(to);
  request.set_etag(now.etag());  // not what somebody else has done in between
  request.set_override(true);
  request.set_reason(absl::StrCat("rollback from ", ShortVersion(now.version()), " to ",
                                  ShortVersion(to), flags.reason.empty() ? "" : ": ",
                                  flags.reason));
  request.set_request_id(NewRequestId());
  FLOE_ASSIGN_OR_RETURN(const pb::Alias alias,
                        door->Ask(door->registry(), &Stub::SetAlias, request));
  TellMove(session, alias);
  return absl::OkStatus();
}

struct GateFlags {
  std::string model;
  std::string file;
  bool remove = false;
};

std::string Bound(const pb::GatePolicy::Gate& gate) {
  std::string text;
  if (gate.has_at_least()) absl::StrAppendFormat(&text, ">= %.6g", gate.at_least());
  if (gate.has_at_most()) {
    absl::StrAppendFormat(&text, "%s<= %.6g", text.empty() ? "" : " and ", gate.at_most());
  }
  return text.empty() ? "-" : text;
}

void TellPolicy(Session& session, const pb::GatePolicy& policy) {
  if (session.json) {
    session.PrintJson(ToJson(policy));
    return;
  }
  if (policy.gates().empty()) {
    session.out() << policy.name() << " holds no gate: aliases move as they are told\n";
    return;
  }
  Table table({"ALIAS", "METRIC", "BETTER", ">MAY WORSEN BY", "BOUND", "DATASET"});
  for (const pb::GatePolicy::Gate& gate : policy.gates()) {
    table.Add({gate.alias(), gate.metric(), gate.higher_is_better() ? "higher" : "lower",
               absl::StrFormat("%.6g", gate.may_worsen_by()), Bound(gate),
               "sha256:" + gate.dataset_digest()});
  }
  session.out() << table.Render();
}

absl::Status SetGate(Session& session, const GateFlags& flags) {
  if (flags.file.empty() != flags.remove) {
    return absl::InvalidArgumentError("name the policy's file, or say --remove");
  }
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  pb::SetGatePolicyRequest request;
  FLOE_ASSIGN_OR_RETURN(const std::string model, session.ResourceName("models", flags.model));
  request.set_name(model + "/gatePolicy");
  if (!flags.file.empty()) {
    FLOE_ASSIGN_OR_RETURN(*request.mutable_policy(),
                          ReadFile(session.folder / flags.file, kMaxPolicyBytes));
    if (request.policy().empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(flags.file, " is empty; to remove the policy, use --remove"));
    }
  }
  request.set_request_id(NewRequestId());
  FLOE_ASSIGN_OR_RETURN(const pb::GatePolicy policy,
                        door->Ask(door->registry(), &Stub::SetGatePolicy, request));
  TellPolicy(session, policy);
  return absl::OkStatus();
}

absl::Status ShowGate(Session& session, const GateFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  pb::GetGatePolicyRequest request;
  FLOE_ASSIGN_OR_RETURN(const std::string model, session.ResourceName("models", flags.model));
  request.set_name(model + "/gatePolicy");
  FLOE_ASSIGN_OR_RETURN(const pb::GatePolicy policy,
                        door->Ask(door->registry(), &Stub::GetGatePolicy, request));
  TellPolicy(session, policy);
  return absl::OkStatus();
}

void AddGateCommands(CLI::App& models, CommandLine& line) {
  CLI::App* group =
      models.add_subcommand("gate", "What the evidence must show before an alias moves");
  group->require_subcommand(1);
  auto& set = line.Keep<GateFlags>();
  CLI::App* command = AddCommand(
      *group, "set", "Set a model's gates from a YAML file, or remove them",
      "  floe models gate set hamlet docs/examples/gates.yaml\n"
      "  floe models gate set hamlet --remove\n\n"
      "Each gate names a metric, a dataset (pinned to the digest it has now), which way is "
      "better,\n"
      "and by how much it may get worse than what the alias points at. Needs the role admin.");
  command->add_option("model", set.model, "A model's id")->required();
  command->add_option("file", set.file, "The policy");
  command->add_flag("--remove", set.remove, "Remove the model's gates");
  line.OnRun(command, [&set](Session& session) { return SetGate(session, set); });
  auto& show = line.Keep<GateFlags>();
  command = AddCommand(*group, "show", "A model's gates", "  floe models gate show hamlet");
  command->add_option("model", show.model, "A model's id")->required();
  line.OnRun(command, [&show](Session& session) { return ShowGate(session, show); });
}

}  // namespace

void AddPromotionCommands(CLI::App& models, CommandLine& line) {
  auto& promote = line.Keep<PromoteFlags>();
  CLI::App* command = AddCommand(
      models, "promote", "Point an alias at a version, if its gates agree",
      "  floe models promote hamlet@3\n"
      "  floe models promote hamlet@3 --alias canary --reason 'lower loss'\n"
      "  floe models promote hamlet@3 --override --reason 'the held-out set was wrong'\n\n"
      "Ends with 1 and the failing numbers when the evidence does not hold (floe models gate).");
  command->add_option("model", promote.model, kModelReference)->required();
  command->add_option("--alias", promote.alias, "Which alias")->capture_default_str();
  command->add_option("--reason", promote.reason, "Why; kept in the alias's history");
  command->add_flag("--override", promote.override_gates,
                    "Move it though the gates refuse; --reason must say why");
  line.OnRun(command, [&promote](Session& session) { return Promote(session, promote); });

  auto& rollback = line.Keep<RollbackFlags>();
  command = AddCommand(
      models, "rollback", "Undo an alias's newest move",
      "  floe models rollback hamlet\n  floe models rollback hamlet --to 2 --reason 'bad "
      "answers'\n\n"
      "Gates do not hold it up. `floe models promote` goes forward again, through the gates.");
  command->add_option("model", rollback.model, "A model's id")->required();
  command->add_option("--alias", rollback.alias, "Which alias")->capture_default_str();
  command->add_option("--to", rollback.to, "The version's number [the one before]")
      ->check(CLI::PositiveNumber);
  command->add_option("--reason", rollback.reason, "Why; kept in the alias's history");
  line.OnRun(command, [&rollback](Session& session) { return Rollback(session, rollback); });
  AddGateCommands(models, line);
}

}  // namespace floe::cli
