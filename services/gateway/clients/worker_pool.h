// The workers that compute: a fixed list, chosen from by prefix, load and health.
#pragma once

#include <memory>
#include <vector>

#include "gateway/ports.h"
#include "services/gateway/clients/worker_slots.h"

namespace floe::gateway {

// Thread-safe. Borrows its parts. A worker that fails is left out and the next one is tried, also
// in mid-stream (moving_answer.h). Must outlive the streams that it gives.
class WorkerPool final : public Generator, public Embedder {
 public:
  using Parts = WorkerSlots::Parts;
  WorkerPool(std::vector<Worker> workers, Parts parts) : slots_(std::move(workers), parts) {}

  Awaitable<absl::StatusOr<std::unique_ptr<TokenStream>>> Start(const CallScope& scope,
                                                                const GenerateCall& call) override;

  Awaitable<absl::StatusOr<std::vector<std::vector<float>>>> Embed(const CallScope& scope,
                                                                   const EmbedCall& call) override;

 private:
  WorkerSlots slots_;
};

}  // namespace floe::gateway
