// policy: what the caller may ask for, and what it means, once for the whole request.
#pragma once

#include "gateway/stage.h"

namespace floe::gateway {

// Thread-safe. Borrows `models`.
class PolicyStage final : public Stage {
 public:
  explicit PolicyStage(Models& models) : models_(models) {}

  std::string_view name() const override { return "policy"; }
  // NOT_FOUND (MODEL_NOT_FOUND) for what the team does not have.
  Awaitable<absl::Status> Enter(Request& request) override;

 private:
  Models& models_;
};

// The error that clients know for a model that is not there.
absl::Status ModelNotFound(std::string_view model);

}  // namespace floe::gateway
