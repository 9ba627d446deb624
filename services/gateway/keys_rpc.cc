#include "services/gateway/keys_rpc.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/resource_name.h"
#include "base/status_macros.h"

namespace floe::gateway {
namespace {

using absl::Status;

absl::StatusOr<Identity> CallerOf(const runtime::CallContext& call) {
  const runtime::CallIdentity& identity = call.identity();
  if (identity.team.empty()) {
    return absl::UnauthenticatedError(
        "this call names no team; keys are asked for through the gateway's door, with a key");
  }
  FLOE_ASSIGN_OR_RETURN(const Role role, ParseRole(identity.role));
  return Identity{identity.team, role, identity.key_id};
}

absl::StatusOr<std::string> TeamOf(const std::string& parent) {
  FLOE_ASSIGN_OR_RETURN(auto ids, ParseResourceName(parent, {"teams"}));
  return std::move(ids[0]);
}

std::string KeyName(std::string_view team, std::string_view id) {
  return absl::StrCat("teams/", std::string(team), "/keys/", std::string(id));
}

void SetTime(absl::Time time, google::protobuf::Timestamp& proto) {
  const int64_t micros = absl::ToUnixMicros(time);
  proto.set_seconds(micros / 1'000'000);
  proto.set_nanos(static_cast<int32_t>(micros % 1'000'000) * 1000);
}

void SetKey(const Key& key, v1::Key& proto) {
  proto.set_name(KeyName(key.team, key.id));
  proto.set_display_name(key.display_name);
  proto.set_role(std::string(RoleName(key.role)));
  proto.set_prefix(key.prefix);
  SetTime(key.create_time, *proto.mutable_create_time());
  if (key.revoke_time) SetTime(*key.revoke_time, *proto.mutable_revoke_time());
}

}  // namespace

grpc::Status KeysRpc::CreateKey(grpc::ServerContext* context, const v1::CreateKeyRequest* request,
                                v1::CreateKeyResponse* answer) {
  return calls_.Run(*context, "gateway.CreateKey", [&](runtime::CallContext& call) -> Status {
    FLOE_ASSIGN_OR_RETURN(const Identity caller, CallerOf(call));
    FLOE_ASSIGN_OR_RETURN(std::string team, TeamOf(request->parent()));
    FLOE_ASSIGN_OR_RETURN(const Role role, ParseRole(request->key().role()));
    FLOE_ASSIGN_OR_RETURN(Keys::Created created,
                          keys_.Create(caller, {std::move(team), request->key().display_name(),
                                                role, request->request_id()}));
    SetKey(created.key, *answer->mutable_key());
    answer->set_secret(std::move(created.secret));
    return absl::OkStatus();
  });
}

grpc::Status KeysRpc::ListKeys(grpc::ServerContext* context, const v1::ListKeysRequest* request,
                               v1::ListKeysResponse* answer) {
  return calls_.Run(*context, "gateway.ListKeys", [&](runtime::CallContext& call) -> Status {
    FLOE_ASSIGN_OR_RETURN(const Identity caller, CallerOf(call));
    FLOE_ASSIGN_OR_RETURN(const std::string team, TeamOf(request->parent()));
    FLOE_ASSIGN_OR_RETURN(Keys::Page page,
                          keys_.List(caller, team, request->page_size(), request->page_token()));
    for (const Key& key : page.keys) SetKey(key, *answer->add_keys());
    answer->set_next_page_token(std::move(page.next_page_token));
    return absl::OkStatus();
  });
}

grpc::Status KeysRpc::RevokeKey(grpc::ServerContext* context, const v1::RevokeKeyRequest* request,
                                v1::Key* answer) {
  return calls_.Run(*context, "gateway.RevokeKey", [&](runtime::CallContext& call) -> Status {
    FLOE_ASSIGN_OR_RETURN(const Identity caller, CallerOf(call));
    FLOE_ASSIGN_OR_RETURN(const auto ids, ParseResourceName(request->name(), {"teams", "keys"}));
    FLOE_ASSIGN_OR_RETURN(const Key key, keys_.Revoke(caller, ids[0], ids[1]));
    SetKey(key, *answer);
    return absl::OkStatus();
  });
}

grpc::Status KeysRpc::GetCaller(grpc::ServerContext* context, const v1::GetCallerRequest* request,
                                v1::Caller* answer) {
  return calls_.Run(*context, "gateway.GetCaller", [&](runtime::CallContext& call) -> Status {
    FLOE_ASSIGN_OR_RETURN(const Identity caller, CallerOf(call));
    answer->set_team(absl::StrCat("teams/", caller.team));
    answer->set_role(std::string(RoleName(caller.role)));
    answer->set_key(KeyName(caller.team, caller.key_id));
    return absl::OkStatus();
  });
}

}  // namespace floe::gateway
