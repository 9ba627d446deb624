#include "gateway/auth/identify.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "gateway/auth/secret.h"

namespace floe::gateway {
namespace {

constexpr std::string_view kScheme = "bearer ";

absl::Status Unauthenticated(std::string_view message, std::string_view reason) {
  return WithReason(absl::UnauthenticatedError(AbslView(message)), reason);
}

absl::Status Ended(const Key& key, std::string_view how, absl::Time when, std::string_view reason) {
  return Unauthenticated(
      absl::StrCat("the API key ", key.prefix, "… of team ", key.team, " ", AbslView(how), " at ",
                   absl::FormatTime(absl::RFC3339_sec, when, absl::UTCTimeZone()),
                   "; ask an admin of the team for a new one"),
      reason);
}

// At each use: what is remembered about a key outlives its expiry.
absl::StatusOr<Identity> Judge(const Key& key, absl::Time now) {
  if (key.revoke_time) return Ended(key, "was revoked", *key.revoke_time, "KEY_REVOKED");
  if (IsExpired(key, now)) return Ended(key, "expired", *key.expire_time, "KEY_EXPIRED");
  return Identity{key.team, key.role, key.id, key.tenant, key.models, key.tiers};
}

}  // namespace

absl::StatusOr<std::string_view> BearerToken(std::string_view authorization) {
  if (authorization.empty()) {
    return Unauthenticated(
        "this call carries no API key; send `authorization: Bearer floe-…` (an admin makes keys "
        "with `floe keys create`)",
        "KEY_MISSING");
  }
  if (!absl::EqualsIgnoreCase(AbslView(authorization.substr(0, kScheme.size())),
                              AbslView(kScheme))) {
    return Unauthenticated(
        "the authorization header is of another scheme; send `authorization: Bearer floe-…`",
        "KEY_MISSING");
  }
  std::string_view token = authorization.substr(kScheme.size());
  while (!token.empty() && token.front() == ' ') token.remove_prefix(1);
  while (!token.empty() && token.back() == ' ') token.remove_suffix(1);
  return token;
}

Identifier::Identifier(KeyStore& store, const Clock& clock, Options options)
    : store_(store), clock_(clock), options_(options) {}

std::optional<Key> Identifier::Recall(const std::string& hash) {
  std::lock_guard lock(mutex_);
  const auto found = entries_.find(hash);
  if (found == entries_.end() || found->second.expires <= clock_.Monotonic()) return std::nullopt;
  return found->second.key;
}

void Identifier::Remember(const std::string& hash, Entry entry, int64_t forgotten) {
  std::lock_guard lock(mutex_);
  if (forgotten != forgotten_) return;
  if (entries_.size() >= options_.max_entries) {
    const absl::Duration now = clock_.Monotonic();
    std::erase_if(entries_, [&](const auto& item) { return item.second.expires <= now; });
    if (entries_.size() >= options_.max_entries) entries_.clear();
  }
  entries_.insert_or_assign(hash, std::move(entry));
}

std::optional<absl::StatusOr<Identity>> Identifier::Cached(std::string_view token) {
  absl::StatusOr<std::string> hash = HashSecret(token);
  if (!hash.ok()) return std::move(hash).status();
  const std::optional<Key> key = Recall(*hash);
  if (!key) return std::nullopt;
  return Judge(*key, clock_.Now());
}

absl::StatusOr<Identity> Identifier::Identify(std::string_view token) {
  FLOE_ASSIGN_OR_RETURN(const std::string hash, HashSecret(token));
  if (const std::optional<Key> key = Recall(hash)) return Judge(*key, clock_.Now());
  int64_t forgotten;
  {
    std::lock_guard lock(mutex_);
    forgotten = forgotten_;
  }
  const absl::Duration expires = clock_.Monotonic() + options_.max_age;
  FLOE_ASSIGN_OR_RETURN(std::optional<Key> key, store_.FindBySecretHash(hash));
  if (!key) {
    return Unauthenticated(
        absl::StrCat("there is no API key ", SecretPrefix(token),
                     "… here; is it one of another fleet? `floe keys ls` shows the team's"),
        "KEY_UNKNOWN");
  }
  Remember(hash, {*key, expires}, forgotten);
  return Judge(*key, clock_.Now());
}

void Identifier::Forget(std::string_view key_id) {
  std::lock_guard lock(mutex_);
  ++forgotten_;
  std::erase_if(entries_, [&](const auto& item) { return item.second.key.id == key_id; });
}

}  // namespace floe::gateway
