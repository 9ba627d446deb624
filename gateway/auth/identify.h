// From a bearer token to who calls. On threads that may block: Identify(token). On I/O threads:
// Cached(token) first, and Identify(token) on another thread when that knows nothing.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "base/clock.h"
#include "gateway/auth/key_store.h"

namespace floe::gateway {

// The token of an `authorization` header: `Bearer floe-…` (the scheme in any case).
// UNAUTHENTICATED: KEY_MISSING when the header is absent (empty) or of another scheme. The view is
// into `authorization`.
absl::StatusOr<std::string_view> BearerToken(std::string_view authorization);

// Thread-safe. Remembers whom a key belongs to for `max_age`, by the SHA-256 of the secret, never
// the secret. A revocation counts at once in the process that made it (Forget), and everywhere else
// for every call that begins more than `max_age` after it: an answer's age counts from before its
// look-up. An expiry counts everywhere at its moment. Keys that do not exist are looked up each
// time, by a unique index.
class Identifier {
 public:
  struct Options {
    absl::Duration max_age = absl::Seconds(2);
    size_t max_entries = 10'000;
  };

  // Borrows both.
  Identifier(KeyStore& store, const Clock& clock) : Identifier(store, clock, Options()) {}
  Identifier(KeyStore& store, const Clock& clock, Options options);

  // Never blocks: what is known about `token`, or nothing when the store must be asked. A malformed
  // token is known to be so.
  std::optional<absl::StatusOr<Identity>> Cached(std::string_view token);

  // May block for a round trip to the store. UNAUTHENTICATED: KEY_MALFORMED (says what is
  // mistyped), KEY_UNKNOWN, KEY_REVOKED, KEY_EXPIRED; the store's own error when it is away.
  absl::StatusOr<Identity> Identify(std::string_view token);

  // Drops what is remembered about a key; a look-up under way is not remembered either.
  void Forget(std::string_view key_id);

 private:
  struct Entry {
    Key key;
    absl::Duration expires;  // Clock::Monotonic
  };
  std::optional<Key> Recall(const std::string& hash);
  void Remember(const std::string& hash, Entry entry, int64_t forgotten);

  KeyStore& store_;
  const Clock& clock_;
  const Options options_;
  std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_;  // guarded by mutex_; by secret hash
  int64_t forgotten_ = 0;                              // guarded by mutex_; calls of Forget
};

}  // namespace floe::gateway
