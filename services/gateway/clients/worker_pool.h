// The workers that compute: a fixed list, chosen from by prefix, load and health.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/random.h"
#include "gateway/ports.h"
#include "services/gateway/clients/pause.h"
#include "services/gateway/clients/worker_slots.h"

namespace floe::gateway {

// Thread-safe. Borrows its parts. A worker that fails is left out and the next one is tried, also
// in mid-stream (moving_answer.h). Must outlive the streams that it gives.
class WorkerPool final : public Generator, public Embedder {
 public:
  struct Parts {
    const Clock& clock;
    const runtime::Logger& logger;
    runtime::Metrics& metrics;
    Pause pause = PauseByTimer;  // between the rounds of an answer that finds no worker
    std::function<uint64_t()> draw = RandomBits;  // what spreads those; thread-safe
  };
  WorkerPool(std::vector<Worker> workers, Parts parts);

  Awaitable<absl::StatusOr<std::unique_ptr<TokenStream>>> Start(const CallScope& scope,
                                                                const GenerateCall& call) override;

  Awaitable<absl::StatusOr<std::vector<std::vector<float>>>> Embed(const CallScope& scope,
                                                                   const EmbedCall& call) override;

 private:
  const Parts parts_;
  WorkerSlots slots_;
};

}  // namespace floe::gateway
