// floe keys create | ls | show | revoke
#include <google/protobuf/util/time_util.h>

#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "cli/commands/commands.h"
#include "cli/commands/pages.h"
#include "cli/commands/when.h"
#include "cli/output/human.h"
#include "cli/output/resource_json.h"
#include "cli/output/table.h"

#include "base/status_macros.h"

namespace floe::cli {
namespace {

namespace pb = gateway::v1;

struct CreateFlags {
  std::string name, role = "consumer", team, tenant, expires;
  std::vector<std::string> models, tiers;
};

absl::StatusOr<std::string> Parent(Door& door, const std::string& team) {
  if (team.empty()) return door.Team();
  return absl::StrCat("teams/", team);
}

absl::Status SetKey(const CreateFlags& flags, pb::Key& key) {
  key.set_display_name(flags.name);
  key.set_role(flags.role);
  key.set_tenant(flags.tenant);
  key.mutable_models()->Assign(flags.models.begin(), flags.models.end());
  key.mutable_tiers()->Assign(flags.tiers.begin(), flags.tiers.end());
  if (flags.expires.empty()) return absl::OkStatus();
  FLOE_ASSIGN_OR_RETURN(const absl::Time expires, ParseWhenOrAfter(flags.expires, absl::Now()));
  *key.mutable_expire_time() =
      google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(expires));
  return absl::OkStatus();
}

std::string LocalTime(const google::protobuf::Timestamp& time) {
  return HumanTime(TimeOf(time), absl::LocalTimeZone());
}

std::string ListText(const google::protobuf::RepeatedPtrField<std::string>& list) {
  return list.empty() ? "all" : absl::StrJoin(list, ",");
}

// What the key is limited to.
void AddLimits(const pb::Key& key, Fields& fields) {
  fields.Add("expires", LocalTime(key.expire_time()));
  fields.Add("models", ListText(key.models()));
  fields.Add("tiers", ListText(key.tiers()));
  fields.Add("tenant", key.tenant());
}

absl::Status Create(Session& session, const CreateFlags& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  pb::CreateKeyRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_parent(), Parent(*door, flags.team));
  FLOE_RETURN_IF_ERROR(SetKey(flags, *request.mutable_key()));
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
  AddLimits(answer.key(), fields);
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
  Table table(
      {"KEY", "NAME", "ROLE", "STARTS WITH", "MADE", "EXPIRES", "REVOKED", "MODELS", "TIERS"});
  for (const pb::Key& key : keys) {
    table.Add({LastId(key.name()), key.display_name(), key.role(), key.prefix(),
               LocalTime(key.create_time()), LocalTime(key.expire_time()),
               LocalTime(key.revoke_time()), ListText(key.models()), ListText(key.tiers())});
  }
  session.out() << table.Render();
  return absl::OkStatus();
}

struct OneKey {
  std::string key;
};

absl::Status Show(Session& session, const OneKey& flags) {
  FLOE_ASSIGN_OR_RETURN(Door * door, session.OpenDoor());
  pb::GetKeyRequest request;
  FLOE_ASSIGN_OR_RETURN(*request.mutable_name(), session.ResourceName("keys", flags.key));
  FLOE_ASSIGN_OR_RETURN(const pb::Key key,
                        door->Ask(door->keys(), &pb::KeyService::Stub::GetKey, request));
  if (session.json) {
    session.PrintJson(ToJson(key));
    return absl::OkStatus();
  }
  Fields fields;
  fields.Add("key", key.name());
  fields.Add("name", key.display_name());
  fields.Add("role", key.role());
  fields.Add("starts with", key.prefix());
  fields.Add("made", LocalTime(key.create_time()));
  fields.Add("revoked", LocalTime(key.revoke_time()));
  AddLimits(key, fields);
  session.out() << fields.Render();
  return absl::OkStatus();
}

absl::Status Revoke(Session& session, const OneKey& flags) {
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
      "  floe keys create --name trial --expires 30d --models 'hamlet*' --tiers flex,default\n"
      "  floe keys create --name first --role admin --team web --tenant acme\n"
      "  FLOE_KEY=$(floe keys create --name ci --role developer --json | jq -r .secret)\n\n"
      "viewer looks; consumer also asks models and tokenizers; developer also makes datasets, "
      "jobs\n"
      "and models; admin also makes keys. Models and tiers narrow what the team's policy lets the\n"
      "key ask for. A team's first key says which tenant the team belongs to, for good.");
  command->add_option("--name", create.name, "For people: who uses it")->required();
  command->add_option("--role", create.role, "viewer, consumer, developer or admin")
      ->check(CLI::IsMember({"viewer", "consumer", "developer", "admin"}))
      ->capture_default_str();
  command->add_option("--team", create.team, "Another team than the caller's");
  command->add_option("--tenant", create.tenant, "The tenant of a new team [default]");
  command->add_option("--expires", create.expires,
                      "When it stops working: 30d, 12h, 2027-01-01 or 2027-01-01T00:00:00Z");
  command->add_option("--models", create.models, "Models it may ask: hamlet, hamlet@canary, ham*")
      ->delimiter(',');
  command->add_option("--tiers", create.tiers, "Service tiers it may ask: flex, default, priority")
      ->delimiter(',');
  line.OnRun(command, [&create](Session& session) { return Create(session, create); });

  auto& list = line.Keep<CreateFlags>();
  command = AddCommand(*group, "ls", "List the team's keys, without secrets", "  floe keys ls");
  command->add_option("--team", list.team, "Another team than the caller's");
  line.OnRun(command, [&list](Session& session) { return List(session, list); });

  auto& show = line.Keep<OneKey>();
  command = AddCommand(*group, "show", "Show a key and what it is limited to, without its secret",
                       "  floe keys show 01j9…");
  command->add_option("key", show.key, "The key's id")->required();
  line.OnRun(command, [&show](Session& session) { return Show(session, show); });

  auto& revoke = line.Keep<OneKey>();
  command = AddCommand(*group, "revoke", "End a key at once", "  floe keys revoke 01j9…");
  command->add_option("key", revoke.key, "The key's id")->required();
  line.OnRun(command, [&revoke](Session& session) { return Revoke(session, revoke); });
}

}  // namespace floe::cli
