// identify: the key → team, tenant, role and what the key is limited to.
#pragma once

#include "gateway/stage.h"

namespace floe::gateway {

// Thread-safe. Borrows `keys`.
class IdentifyStage final : public Stage {
 public:
  explicit IdentifyStage(KeyLookup& keys) : keys_(keys) {}

  std::string_view name() const override { return "identify"; }
  // UNAUTHENTICATED (INVALID_API_KEY, or KEY_EXPIRED) without a key that works; PERMISSION_DENIED
  // (ROLE_TOO_LOW) for a role below consumer.
  Awaitable<absl::Status> Enter(Request& request) override;

 private:
  KeyLookup& keys_;
};

}  // namespace floe::gateway
