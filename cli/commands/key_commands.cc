// floe keys create | ls | revoke
#include <iostream>

#include "absl/strings/str_cat.h"
#include "cli/commands/commands.h"
#include "cli/commands/pages.h"
#include "cli/output/human.h"
#include "cli/output/resource_json.h"
#include "cli/output/table.h"

#include "base/status_macros.h"

namespace floe::cli {
namespace {

namespace pb = gateway::v1;

struct CreateFlags {
  std::string name, role = "consumer", team;
};

absl::StatusOr<std::string> Parent(Door& door, const std::string& team) {
  if (team.empty()) return door.Team();
  return absl::StrCat("teams/", team);
}

absl::Status Create(Session& session, const CreateFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  pb::CreateKeyRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_parent(), Parent(*door, flags.team));
  request.mutable_key()->set_display_name(flags.name);
  request.mutable_key()->set_role(flags.role);
  request.set_request_id(NewRequestId());
  FLOE_ASSIGN_OR_RETURN(const pb::CreateKeyResponse answer,
                        door->Ask(door->keys(), &pb::KeyService::Stub::CreateKey, request));
  if (session.json) {
    nlohmann::ordered_json json = ToJson(answer.key());
    json["secret"] = answer.secret();
    session.PrintJson(json);
    return absl::OkStatus();
  }
  Fields fields;
  fields.Add("key", answer.key().name());
  fields.Add("role", answer.key().role());
  fields.Add("secret", answer.secret());
  session.out() << fields.Render() << "The secret is shown this once: only its hash is stored.\n";
  return absl::OkStatus();
}

absl::Status List(Session& session, const CreateFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  pb::ListKeysRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_parent(), Parent(*door, flags.team));
  FLOE_ASSIGN_OR_RETURN(const std::vector<pb::Key> keys,
                        (ListAll<pb::Key>(
                            *door, door->keys(), &pb::KeyService::Stub::ListKeys, request,
                            [](auto& page) -> auto& { return *page.mutable_keys(); })));
  if (session.json) {
    session.PrintJson(ToJsonArray(keys));
    return absl::OkStatus();
  }
  Table table({"KEY", "NAME", "ROLE", "STARTS WITH", "MADE", "REVOKED"});
  for (const pb::Key& key : keys) {
    table.Add({LastId(key.name()), key.display_name(), key.role(), key.prefix(),
               HumanTime(TimeOf(key.create_time()), absl::LocalTimeZone()),
               HumanTime(TimeOf(key.revoke_time()), absl::LocalTimeZone())});
  }
  session.out() << table.Render();
  return absl::OkStatus();
}

struct RevokeFlags {
  std::string key;
};

absl::Status Revoke(Session& session, const RevokeFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  pb::RevokeKeyRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_name(), session.ResourceName("keys", flags.key));
  request.set_request_id(NewRequestId());
  FLOE_ASSIGN_OR_RETURN(const pb::Key key,
                        door->Ask(door->keys(), &pb::KeyService::Stub::RevokeKey, request));
  if (session.json) {
    session.PrintJson(ToJson(key));
  } else {
    session.out() << "key " << LastId(key.name()) << " (" << key.display_name()
                  << ") does not work any more\n";
  }
  return absl::OkStatus();
}

}  // namespace

void AddKeyCommands(CommandLine& line) {
  CLI::App* group = AddGroup(line.app(), "keys", "API keys: who may come in, in which role");
  auto& create = line.Keep<CreateFlags>();
  CLI::App* command = AddCommand(
      *group, "create", "Make a key; its secret is shown once",
      "  floe keys create --name shop --role consumer\n"
      "  FLOE_KEY=$(floe keys create --name ci --role developer --json | jq -r .secret)\n\n"
      "viewer looks; consumer also asks models and tokenizers; developer also makes datasets, "
      "jobs\n"
      "and models; admin also makes keys.");
  command->add_option("--name", create.name, "For people: who uses it")->required();
  command->add_option("--role", create.role, "viewer, consumer, developer or admin")
      ->check(CLI::IsMember({"viewer", "consumer", "developer", "admin"}))
      ->capture_default_str();
  command->add_option("--team", create.team, "Another team than the caller's");
  line.OnRun(command, [&create](Session& session) { return Create(session, create); });

  auto& list = line.Keep<CreateFlags>();
  command = AddCommand(*group, "ls", "List the team's keys, without secrets", "  floe keys ls");
  command->add_option("--team", list.team, "Another team than the caller's");
  line.OnRun(command, [&list](Session& session) { return List(session, list); });

  auto& revoke = line.Keep<RevokeFlags>();
  command = AddCommand(*group, "revoke", "End a key at once", "  floe keys revoke 01j9…");
  command->add_option("key", revoke.key, "The key's id")->required();
  line.OnRun(command, [&revoke](Session& session) { return Revoke(session, revoke); });
}

}  // namespace floe::cli
