#include "tests/gateway/auth/fake_key_store.h"

#include <algorithm>

#include "base/status_macros.h"

namespace floe::gateway {

absl::StatusOr<KeyStore::Inserted> FakeKeyStore::Insert(const NewKey& key) {
  FLOE_RETURN_IF_ERROR(away);
  std::lock_guard lock(mutex_);
  const std::string& wanted = key.key.tenant;
  const std::string& tenant =
      tenants_.try_emplace(key.key.team, wanted.empty() ? kDefaultTenant : wanted).first->second;
  if (!wanted.empty() && wanted != tenant) return OtherTenant(key.key.team, tenant, wanted);
  for (const NewKey& other : keys_) {
    const bool same_request = !key.request_id.empty() && key.request_id == other.request_id &&
                              key.key.team == other.key.team;
    if (same_request || key.secret_hash == other.secret_hash) return Inserted{other.key, false};
  }
  keys_.push_back(key);
  keys_.back().key.tenant = tenant;
  return Inserted{keys_.back().key, true};
}

absl::StatusOr<std::optional<Key>> FakeKeyStore::Find(const std::string& team,
                                                      const std::string& id) {
  FLOE_RETURN_IF_ERROR(away);
  std::lock_guard lock(mutex_);
  for (const NewKey& other : keys_) {
    if (other.key.team == team && other.key.id == id) return other.key;
  }
  return std::nullopt;
}

absl::StatusOr<std::optional<Key>> FakeKeyStore::FindBySecretHash(const std::string& hash) {
  FLOE_RETURN_IF_ERROR(away);
  std::optional<Key> key;
  {
    std::lock_guard lock(mutex_);
    ++finds_;
    for (const NewKey& other : keys_) {
      if (other.secret_hash == hash) key = other.key;
    }
  }
  if (after_found) after_found();
  return key;
}

absl::StatusOr<std::vector<Key>> FakeKeyStore::List(const std::string& team,
                                                    const std::string& before, int limit) {
  FLOE_RETURN_IF_ERROR(away);
  std::lock_guard lock(mutex_);
  std::vector<Key> keys;
  for (const NewKey& other : keys_) {
    if (other.key.team == team && (before.empty() || other.key.id < before)) {
      keys.push_back(other.key);
    }
  }
  std::sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) { return a.id > b.id; });
  if (keys.size() > static_cast<size_t>(limit)) keys.resize(limit);
  return keys;
}

absl::StatusOr<std::optional<Key>> FakeKeyStore::Revoke(const std::string& team,
                                                        const std::string& id, absl::Time now) {
  FLOE_RETURN_IF_ERROR(away);
  std::lock_guard lock(mutex_);
  for (NewKey& other : keys_) {
    if (other.key.team != team || other.key.id != id) continue;
    if (!other.key.revoke_time) other.key.revoke_time = now;
    return other.key;
  }
  return std::nullopt;
}

int FakeKeyStore::finds() const {
  std::lock_guard lock(mutex_);
  return finds_;
}

}  // namespace floe::gateway
