#include "services/gateway/keys_rpc.h"

#include <google/protobuf/util/time_util.h>

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/resource_name.h"
#include "base/status_macros.h"

namespace floe::gateway {
namespace {

using absl::Status;
using google::protobuf::util::TimeUtil;

absl::StatusOr<Identity> CallerOf(const runtime::CallContext& call) {
  const runtime::CallIdentity& identity = call.identity();
  if (identity.team.empty()) {
    return absl::UnauthenticatedError(
        "this call names no team; keys are asked for through the gateway's door, with a key");
  }
  FLOE_ASSIGN_OR_RETURN(const Role role, ParseRole(identity.role));
  return Identity{.team = identity.team, .role = role, .key_id = identity.key_id};
}

absl::StatusOr<std::string> TeamOf(const std::string& parent) {
  FLOE_ASSIGN_OR_RETURN(auto ids, ParseResourceName(parent, {"teams"}));
  return std::move(ids[0]);
}

std::string KeyName(std::string_view team, std::string_view id) {
  return absl::StrCat("teams/", std::string(team), "/keys/", std::string(id));
}

void SetTime(absl::Time time, google::protobuf::Timestamp& proto) {
  proto = TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(time));
}

// Microseconds: what is stored, so that a repeated request is the same.
absl::StatusOr<absl::Time> TimeOf(const google::protobuf::Timestamp& proto) {
  const bool in_range = proto.seconds() >= TimeUtil::kTimestampMinSeconds &&
                        proto.seconds() <= TimeUtil::kTimestampMaxSeconds;
  if (!in_range || proto.nanos() < 0 || proto.nanos() > 999'999'999) {
    return absl::InvalidArgumentError("key.expire_time is no time between the years 1 and 9999");
  }
  return absl::FromUnixMicros(TimeUtil::TimestampToMicroseconds(proto));
}

absl::StatusOr<Keys::Wanted> WantedOf(const v1::CreateKeyRequest& request) {
  const v1::Key& key = request.key();
  Keys::Wanted wanted;
  FLOE_ASSIGN_OR_RETURN(wanted.team, TeamOf(request.parent()));
  FLOE_ASSIGN_OR_RETURN(wanted.role, ParseRole(key.role()));
  wanted.display_name = key.display_name();
  wanted.request_id = request.request_id();
  wanted.tenant = key.tenant();
  if (key.has_expire_time()) {
    FLOE_ASSIGN_OR_RETURN(wanted.expire_time, TimeOf(key.expire_time()));
  }
  wanted.models.assign(key.models().begin(), key.models().end());
  wanted.tiers.assign(key.tiers().begin(), key.tiers().end());
  return wanted;
}

void SetKey(const Key& key, v1::Key& proto) {
  proto.set_name(KeyName(key.team, key.id));
  proto.set_display_name(key.display_name);
  proto.set_role(std::string(RoleName(key.role)));
  proto.set_prefix(key.prefix);
  SetTime(key.create_time, *proto.mutable_create_time());
  if (key.revoke_time) SetTime(*key.revoke_time, *proto.mutable_revoke_time());
  if (key.expire_time) SetTime(*key.expire_time, *proto.mutable_expire_time());
  proto.mutable_models()->Assign(key.models.begin(), key.models.end());
  proto.mutable_tiers()->Assign(key.tiers.begin(), key.tiers.end());
  proto.set_tenant(key.tenant);
}

}  // namespace

grpc::Status KeysRpc::CreateKey(grpc::ServerContext* context, const v1::CreateKeyRequest* request,
                                v1::CreateKeyResponse* answer) {
  return calls_.Run(*context, "gateway.CreateKey", [&](runtime::CallContext& call) -> Status {
    FLOE_ASSIGN_OR_RETURN(const Identity caller, CallerOf(call));
    FLOE_ASSIGN_OR_RETURN(const Keys::Wanted wanted, WantedOf(*request));
    FLOE_ASSIGN_OR_RETURN(Keys::Created created, keys_.Create(caller, wanted));
    SetKey(created.key, *answer->mutable_key());
    answer->set_secret(std::move(created.secret));
    return absl::OkStatus();
  });
}

grpc::Status KeysRpc::GetKey(grpc::ServerContext* context, const v1::GetKeyRequest* request,
                             v1::Key* answer) {
  return calls_.Run(*context, "gateway.GetKey", [&](runtime::CallContext& call) -> Status {
    FLOE_ASSIGN_OR_RETURN(const Identity caller, CallerOf(call));
    FLOE_ASSIGN_OR_RETURN(const auto ids, ParseResourceName(request->name(), {"teams", "keys"}));
    FLOE_ASSIGN_OR_RETURN(const Key key, keys_.Get(caller, ids[0], ids[1]));
    SetKey(key, *answer);
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
