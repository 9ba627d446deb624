// The workers that compute: a fixed list, chosen from by prefix, load and health.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "floe/inference/v1/inference.grpc.pb.h"
#include "gateway/ports.h"
#include "gateway/routing/pick_worker.h"
#include "services/runtime/logging.h"
#include "services/runtime/metrics.h"

namespace floe::gateway {

// Thread-safe. Borrows its parts. A worker that fails is left out and the next one is tried, also
// in mid-stream: what was generated goes along as part of the prompt, and since a token is a
// function of ids, seed and position, the answer goes on as if nothing had happened. A worker that
// cannot be reached, or shuts down, rests for a while, longer with each failure in a row. Must
// outlive the streams that it gives.
class WorkerPool final : public Generator, public Embedder {
 public:
  struct Worker {
    std::string address;
    std::shared_ptr<grpc::Channel> channel;
  };
  struct Parts {
    const Clock& clock;
    const runtime::Logger& logger;
    runtime::Metrics& metrics;
  };
  WorkerPool(std::vector<Worker> workers, Parts parts);

  Awaitable<absl::StatusOr<std::unique_ptr<TokenStream>>> Start(const CallScope& scope,
                                                                const GenerateCall& call) override;

  Awaitable<absl::StatusOr<std::vector<std::vector<float>>>> Embed(const CallScope& scope,
                                                                   const EmbedCall& call) override;

  // Workers that do not rest; for readiness.
  size_t healthy() const;

 private:
  class Ticket;
  class Answer;
  struct Slot {
    std::string address;
    std::unique_ptr<inference::v1::InferenceService::Stub> stub;
    int64_t in_flight = 0;         // guarded by mutex_
    int failures = 0;              // guarded by mutex_
    absl::Duration resting_until;  // guarded by mutex_
  };

  // A worker not in `tried`, with a call counted on it.
  std::optional<size_t> Take(const std::vector<bool>& tried, uint64_t key);
  void GiveBack(size_t worker);
  void NoteAnswer(size_t worker);
  void NoteFailure(size_t worker, const absl::Status& status);
  // An answer goes on elsewhere, because of `status`.
  void NoteMove(const absl::Status& status);

  const Parts parts_;
  mutable std::mutex mutex_;
  std::vector<Slot> slots_;  // the list is fixed; counts guarded by mutex_
};

}  // namespace floe::gateway
