// settle: one usage record a request, durable before the client gets the last byte.
#pragma once

#include "gateway/settlement.h"
#include "gateway/stage.h"

namespace floe::gateway {

// Thread-safe. Borrows its parts. Puts a stream around the answer's: the piece with the finish, and
// every error, passes only once the record survives a crash. Leaving settles an answer that nobody
// took to its end, for what had arrived.
class SettleStage final : public Stage {
 public:
  explicit SettleStage(const SettlementParts& parts) : parts_(parts) {}

  std::string_view name() const override { return "settle"; }
  Awaitable<absl::Status> Enter(Request& request) override;
  void Leave(Request& request) noexcept override { SettleUnwaited(request, parts_); }

 private:
  const SettlementParts parts_;
};

}  // namespace floe::gateway
