// The list of workers, with what this gateway knows of each: its calls there, and its failures.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "floe/inference/v1/inference.grpc.pb.h"
#include "gateway/routing/pick_worker.h"
#include "services/runtime/logging.h"
#include "services/runtime/metrics.h"

namespace floe::gateway {

struct Worker {
  std::string address;
  std::shared_ptr<grpc::Channel> channel;
};

// Thread-safe. Borrows its parts. A worker that cannot be reached, or shuts down, rests for a
// while, longer with each failure in a row. Must outlive its tickets.
class WorkerSlots {
 public:
  struct Parts {
    const Clock& clock;
    const runtime::Logger& logger;
    runtime::Metrics& metrics;
  };
  WorkerSlots(std::vector<Worker> workers, Parts parts);

  // Counts one call on a worker for as long as it lives.
  class Ticket {
   public:
    Ticket(Ticket&& other) noexcept
        : slots_(std::exchange(other.slots_, nullptr)), worker_(other.worker_) {}
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket() {
      if (slots_ != nullptr) slots_->GiveBack(worker_);
    }
    size_t worker() const { return worker_; }

   private:
    friend class WorkerSlots;
    Ticket(WorkerSlots& slots, size_t worker) : slots_(&slots), worker_(worker) {}
    WorkerSlots* slots_;
    size_t worker_;
  };

  size_t size() const { return slots_.size(); }
  inference::v1::InferenceService::Stub& stub(size_t worker) { return *slots_[worker].stub; }

  // A worker that is not in `tried`, as PickWorker() has it; nothing when all are.
  std::optional<Ticket> Take(const std::vector<bool>& tried, uint64_t key);

  // The worker answered, be it by an error: it does not rest.
  void NoteAnswer(size_t worker);
  // It could not be reached, or shuts down: it rests.
  void NoteFailure(size_t worker, const absl::Status& status);
  // An answer goes on elsewhere, since `status` ended it at its worker.
  void NoteMove(const absl::Status& status);
  // One that is to go on waits, for room at a worker that is full or for any worker.
  void NoteWait(bool somebody_full);

 private:
  struct Slot {
    std::string address;
    std::unique_ptr<inference::v1::InferenceService::Stub> stub;
    int64_t in_flight = 0;         // guarded by mutex_
    int failures = 0;              // guarded by mutex_
    absl::Duration resting_until;  // guarded by mutex_
  };

  void GiveBack(size_t worker);

  const Parts parts_;
  std::mutex mutex_;
  std::vector<Slot> slots_;  // the list is fixed; counts guarded by mutex_
};

}  // namespace floe::gateway
