// policy: what the caller may ask for, and what it means, once for the whole request.
#pragma once

#include "gateway/stage.h"

namespace floe::gateway {

// Thread-safe. Borrows `models`.
class PolicyStage final : public Stage {
 public:
  explicit PolicyStage(Models& models) : models_(models) {}

  std::string_view name() const override { return "policy"; }
  // PERMISSION_DENIED (MODEL_NOT_ALLOWED, TIER_NOT_ALLOWED) and INVALID_ARGUMENT
  // (MAX_TOKENS_EXCEEDED) for what the policy or the key excludes; INVALID_ARGUMENT (INVALID_VALUE)
  // for a schema that is none; NOT_FOUND (MODEL_NOT_FOUND) for what the team does not have.
  Awaitable<absl::Status> Enter(Request& request) override;

 private:
  Models& models_;
};

// Whether the team's policy and the key both allow the model. Pure.
bool MayAsk(const policy::TeamPolicy& rules, const Identity& caller, std::string_view model);

// The error that clients know for a model that is not there.
absl::Status ModelNotFound(std::string_view model);

// Whether `ask` is within the team's policy and within what the caller's key is limited to: the
// narrower counts. Pure.
absl::Status CheckAllowed(const policy::TeamPolicy& rules, const Identity& caller, const Ask& ask);

}  // namespace floe::gateway
