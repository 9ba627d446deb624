// generate: digest → worker; ends when the first piece is there, of several answers that of each.
#pragma once

#include "base/clock.h"
#include "gateway/stage.h"

namespace floe::gateway {

// Thread-safe. Borrows both. A request that has its stream already (from the cache) is left as it
// is. Leaving cancels what still runs.
class GenerateStage final : public Stage {
 public:
  GenerateStage(Generator& generator, const Clock& clock) : generator_(generator), clock_(clock) {}

  std::string_view name() const override { return "generate"; }
  Awaitable<absl::Status> Enter(Request& request) override;
  void Leave(Request& request) noexcept override;

 private:
  Awaitable<absl::StatusOr<std::unique_ptr<TokenStream>>> Start(Request& request, size_t index);

  Generator& generator_;
  const Clock& clock_;
};

}  // namespace floe::gateway
