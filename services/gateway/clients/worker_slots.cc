#include "services/gateway/clients/worker_slots.h"

#include <prometheus/counter.h>

#include "services/gateway/clients/worker_refusals.h"

namespace floe::gateway {

WorkerSlots::WorkerSlots(std::vector<Worker> workers, Parts parts) : parts_(parts) {
  for (Worker& worker : workers) {
    Slot& slot = slots_.emplace_back();
    slot.address = std::move(worker.address);
    slot.stub = inference::v1::InferenceService::NewStub(worker.channel);
  }
}

std::optional<WorkerSlots::Ticket> WorkerSlots::Take(const std::vector<bool>& tried, uint64_t key) {
  const absl::Duration now = parts_.clock.Monotonic();
  std::vector<WorkerState> states;
  std::optional<PickedWorker> picked;
  {
    const std::lock_guard lock(mutex_);
    states.reserve(slots_.size());
    for (size_t i = 0; i < slots_.size(); ++i) {
      const Slot& slot = slots_[i];
      states.push_back({slot.address, slot.in_flight, slot.failures, slot.resting_until, tried[i]});
    }
    picked = PickWorker(states, key, now);
    if (picked) ++slots_[picked->index].in_flight;
  }
  if (!picked) return std::nullopt;
  parts_.metrics
      .Counter("floe_gateway_routed_calls_total",
               "Calls by why their worker was chosen: it ranks first for the prompt's prefix "
               "(affinity), the one that does has its part (overflow), or all rest (resting).",
               {{"choice", std::string(Name(picked->choice))}})
      .Increment();
  return Ticket(*this, picked->index);
}

void WorkerSlots::GiveBack(size_t worker) {
  const std::lock_guard lock(mutex_);
  --slots_[worker].in_flight;
}

void WorkerSlots::NoteAnswer(size_t worker) {
  const std::lock_guard lock(mutex_);
  slots_[worker].failures = 0;
  slots_[worker].resting_until = absl::ZeroDuration();
}

void WorkerSlots::NoteFailure(size_t worker, const absl::Status& status) {
  const absl::Duration now = parts_.clock.Monotonic();
  absl::Duration rest;
  {
    const std::lock_guard lock(mutex_);
    Slot& slot = slots_[worker];
    rest = RestAfter(++slot.failures);
    slot.resting_until = now + rest;
  }
  const bool drains = Drains(status);
  if (!drains) {
    parts_.metrics
        .Counter("floe_gateway_worker_failures_total",
                 "Calls that a worker could not be reached for.",
                 {{"worker", slots_[worker].address}})
        .Increment();
  }
  const runtime::LogLevel level = drains ? runtime::LogLevel::kInfo : runtime::LogLevel::kWarning;
  parts_.logger.Log(level, "worker rests",
                    {{"worker", slots_[worker].address},
                     {"error", std::string(status.message())},
                     {"seconds", absl::ToDoubleSeconds(rest)}});
}

void WorkerSlots::NoteMove(const absl::Status& status) {
  parts_.metrics
      .Counter("floe_gateway_moved_streams_total",
               "Answers that went on at another worker in mid-stream.",
               {{"reason", Drains(status) ? "drain" : "failure"}})
      .Increment();
}

void WorkerSlots::NoteWait(bool somebody_full) {
  parts_.metrics
      .Counter("floe_gateway_stream_waits_total",
               "Waits of answers that were to go on at another worker while all were full, or none "
               "could be reached (away).",
               {{"reason", somebody_full ? "full" : "away"}})
      .Increment();
}

}  // namespace floe::gateway
