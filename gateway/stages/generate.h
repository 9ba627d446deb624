// generate: digest → worker; ends when the first piece is there.
#pragma once

#include "gateway/stage.h"

namespace floe::gateway {

// Thread-safe. Borrows `generator`. A request that has its stream already (from the cache) is left
// as it is. Leaving cancels what still runs.
class GenerateStage final : public Stage {
 public:
  explicit GenerateStage(Generator& generator) : generator_(generator) {}

  std::string_view name() const override { return "generate"; }
  Awaitable<absl::Status> Enter(Request& request) override;
  void Leave(Request& request) noexcept override { request.stream.reset(); }

 private:
  Generator& generator_;
};

}  // namespace floe::gateway
