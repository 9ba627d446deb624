#include "gateway/auth/keys.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/resource_name.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "gateway/allowed/allowed.h"
#include "gateway/auth/role_table.h"
#include "gateway/auth/secret.h"

namespace floe::gateway {
namespace {

constexpr int kDefaultPage = 50;
constexpr int kMaxPage = 1000;
constexpr size_t kMaxDisplayName = 200;
constexpr size_t kMaxRequestId = 128;
constexpr size_t kMaxModels = 64;
constexpr size_t kMaxPattern = 256;

absl::Status CheckScope(const Identity& caller, const std::string& team, std::string_view what) {
  FLOE_RETURN_IF_ERROR(RequireRole(caller, Role::kAdmin, what));
  if (!IsResourceId(team)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the team's id is 1 to 63 of a-z, 0-9, `-`, `_` and `.`; got `", team.substr(0, 80), "`"));
  }
  if (team == caller.team || IsFleetAdmin(caller)) return absl::OkStatus();
  return WithReason(absl::PermissionDeniedError(absl::StrCat(
                        "this key is of team ", caller.team, " and may not ", AbslView(what),
                        " of team ", team, "; only an admin of team ", kDefaultTeam, " may")),
                    "OTHER_TEAM", {{"team", team}});
}

absl::Status CheckModels(const std::vector<std::string>& models) {
  if (models.size() > kMaxModels) {
    return absl::InvalidArgumentError(
        absl::StrCat("models has ", models.size(), " entries; at most ", kMaxModels));
  }
  for (const std::string& pattern : models) {
    const bool plain = std::all_of(pattern.begin(), pattern.end(),
                                   [](char c) { return c > ' ' && c < 0x7f && c != ','; });
    if (!pattern.empty() && pattern.size() <= kMaxPattern && plain &&
        pattern.find('*') >= pattern.size() - 1) {
      continue;
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "models: \"", absl::CHexEscape(pattern.substr(0, 80)), "\" names no model; write a name ",
        "as a request does (hamlet, hamlet@canary), with `*` at its end for anything"));
  }
  return absl::OkStatus();
}

// What the key may do, and until when.
absl::Status CheckLimits(const Keys::Wanted& wanted, absl::Time now) {
  if (wanted.expire_time && *wanted.expire_time <= now) {
    return absl::InvalidArgumentError(
        absl::StrCat("expire_time is ",
                     absl::FormatTime(absl::RFC3339_sec, *wanted.expire_time, absl::UTCTimeZone()),
                     ", which is past; a key that never works is of no use"));
  }
  for (const std::string& tier : wanted.tiers) {
    if (IsTierName(tier)) continue;
    return absl::InvalidArgumentError(absl::StrCat("tiers: there is no tier \"",
                                                   absl::CHexEscape(tier.substr(0, 40)),
                                                   "\"; there are flex, default and priority"));
  }
  if (!wanted.tenant.empty() && !IsResourceId(wanted.tenant)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the tenant's id is 1 to 63 of a-z, 0-9, `-`, `_` and `.`; got `",
                     absl::CHexEscape(wanted.tenant.substr(0, 80)), "`"));
  }
  return CheckModels(wanted.models);
}

absl::Status CheckWanted(const Keys::Wanted& wanted) {
  if (wanted.display_name.size() > kMaxDisplayName) {
    return absl::InvalidArgumentError(absl::StrCat("display_name has ", wanted.display_name.size(),
                                                   " bytes; at most ", kMaxDisplayName));
  }
  for (const char c : wanted.display_name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return absl::InvalidArgumentError("display_name holds a control character");
    }
  }
  if (wanted.request_id.size() > kMaxRequestId) {
    return absl::InvalidArgumentError(absl::StrCat("request_id has ", wanted.request_id.size(),
                                                   " bytes; at most ", kMaxRequestId));
  }
  return absl::OkStatus();
}

bool IsWhatWasWanted(const Key& key, const Keys::Wanted& wanted) {
  return key.role == wanted.role && key.display_name == wanted.display_name &&
         key.expire_time == wanted.expire_time && key.models == wanted.models &&
         key.tiers == wanted.tiers;
}

absl::Status NoSuchKey(const std::string& team, const std::string& id) {
  return WithReason(absl::NotFoundError(absl::StrCat("team ", team, " has no key ", id,
                                                     "; `floe keys ls` shows those there are")),
                    "KEY_NOT_FOUND", {{"key", id}, {"team", team}});
}

}  // namespace

absl::StatusOr<Keys::Created> Keys::Create(const Identity& caller, const Wanted& wanted) {
  FLOE_RETURN_IF_ERROR(CheckScope(caller, wanted.team, "make keys"));
  FLOE_RETURN_IF_ERROR(CheckWanted(wanted));
  FLOE_RETURN_IF_ERROR(CheckLimits(wanted, parts_.clock.Now()));
  std::string secret = NewSecret();
  FLOE_ASSIGN_OR_RETURN(const std::string hash, HashSecret(secret));
  KeyStore::NewKey key;
  key.key.id = parts_.ids.Next();
  key.key.team = wanted.team;
  key.key.display_name = wanted.display_name;
  key.key.role = wanted.role;
  key.key.prefix = SecretPrefix(secret);
  key.key.create_time = parts_.clock.Now();
  key.key.expire_time = wanted.expire_time;
  key.key.models = wanted.models;
  key.key.tiers = wanted.tiers;
  key.key.tenant = wanted.tenant;
  key.secret_hash = hash;
  key.request_id = wanted.request_id;
  FLOE_ASSIGN_OR_RETURN(KeyStore::Inserted inserted, parts_.store.Insert(key));
  if (inserted.is_new) return Created{std::move(inserted.key), std::move(secret)};
  if (!IsWhatWasWanted(inserted.key, wanted)) {
    return WithReason(absl::AlreadyExistsError(absl::StrCat(
                          "request_id `", wanted.request_id, "` made the key ", inserted.key.id,
                          " with another role, name, expiry or limits; use a new "
                          "request_id")),
                      "REQUEST_ID_REUSED", {{"key", inserted.key.id}});
  }
  return Created{std::move(inserted.key), ""};
}

absl::StatusOr<Keys::Page> Keys::List(const Identity& caller, const std::string& team,
                                      int page_size, const std::string& page_token) {
  FLOE_RETURN_IF_ERROR(CheckScope(caller, team, "list keys"));
  if (page_size < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_size is ", page_size, "; it must not be negative"));
  }
  if (!page_token.empty() && !IsResourceId(page_token)) {
    return absl::InvalidArgumentError(
        "page_token is none that ListKeys gave; send next_page_token of the page before");
  }
  const int size = page_size == 0 ? kDefaultPage : std::min(page_size, kMaxPage);
  Page page;
  FLOE_ASSIGN_OR_RETURN(page.keys, parts_.store.List(team, page_token, size + 1));
  if (page.keys.size() > static_cast<size_t>(size)) {
    page.keys.pop_back();
    page.next_page_token = page.keys.back().id;
  }
  return page;
}

absl::StatusOr<Key> Keys::Get(const Identity& caller, const std::string& team,
                              const std::string& id) {
  FLOE_RETURN_IF_ERROR(CheckScope(caller, team, "look at keys"));
  FLOE_ASSIGN_OR_RETURN(std::optional<Key> key, parts_.store.Find(team, id));
  if (!key) return NoSuchKey(team, id);
  return *std::move(key);
}

absl::StatusOr<Key> Keys::Revoke(const Identity& caller, const std::string& team,
                                 const std::string& id) {
  FLOE_RETURN_IF_ERROR(CheckScope(caller, team, "revoke keys"));
  FLOE_ASSIGN_OR_RETURN(std::optional<Key> key, parts_.store.Revoke(team, id, parts_.clock.Now()));
  if (!key) return NoSuchKey(team, id);
  parts_.identifier.Forget(key->id);
  return *std::move(key);
}

absl::Status Keys::EnsureBootstrap(const std::string& secret) {
  const absl::StatusOr<std::string> hash = HashSecret(secret);
  if (!hash.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("bootstrap-key: ", hash.status().message()));
  }
  KeyStore::NewKey key;
  key.key.id = parts_.ids.Next();
  key.key.team = kDefaultTeam;
  key.key.display_name = "bootstrap";
  key.key.role = Role::kAdmin;
  key.key.prefix = SecretPrefix(secret);
  key.key.create_time = parts_.clock.Now();
  key.secret_hash = *hash;
  FLOE_ASSIGN_OR_RETURN(const KeyStore::Inserted inserted, parts_.store.Insert(key));
  const bool expired = IsExpired(inserted.key, parts_.clock.Now());
  if (inserted.key.revoke_time || expired || inserted.key.role != Role::kAdmin) {
    return absl::FailedPreconditionError(absl::StrCat(
        "bootstrap-key is the key ", inserted.key.id, " of team ", inserted.key.team, ", which ",
        inserted.key.revoke_time ? "was revoked"
        : expired                ? "has expired"
                                 : "is no admin's",
        "; give another one, or leave bootstrap-key out when other admin keys work"));
  }
  return absl::OkStatus();
}

}  // namespace floe::gateway
