// Keys in memory, with a database that can go away.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "gateway/auth/key_store.h"

namespace floe::gateway {

// Thread-safe, but for the members that a test sets.
class FakeKeyStore final : public KeyStore {
 public:
  absl::StatusOr<Inserted> Insert(const NewKey& key) override;
  absl::StatusOr<std::optional<Key>> FindBySecretHash(const std::string& hash) override;
  absl::StatusOr<std::optional<Key>> Find(const std::string& team, const std::string& id) override;
  absl::StatusOr<std::vector<Key>> List(const std::string& team, const std::string& before,
                                        int limit) override;
  absl::StatusOr<std::optional<Key>> Revoke(const std::string& team, const std::string& id,
                                            absl::Time now) override;

  int finds() const;

  absl::Status away;                  // what every call answers while it is not OK
  std::function<void()> after_found;  // runs between a look-up and its return

 private:
  mutable std::mutex mutex_;
  std::vector<NewKey> keys_;                    // guarded by mutex_
  std::map<std::string, std::string> tenants_;  // guarded by mutex_; by team
  int finds_ = 0;                               // guarded by mutex_
};

}  // namespace floe::gateway
