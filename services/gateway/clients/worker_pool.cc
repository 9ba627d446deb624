#include "services/gateway/clients/worker_pool.h"

#include <prometheus/counter.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "services/gateway/clients/unary_call.h"
#include "services/gateway/clients/worker_stream.h"
#include "services/runtime/status.h"

namespace floe::gateway {
namespace {

// What another worker would say as well, or what ended the request itself.
bool IsFinal(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsCancelled(status) ||
         absl::IsDeadlineExceeded(status);
}

// The answer when every worker was tried.
absl::Status AllFailed(const absl::Status& last) {
  switch (last.code()) {
    case absl::StatusCode::kResourceExhausted:
      return WithReason(
          absl::ResourceExhaustedError(
              "all workers are busy and their queues are full; try again in a moment"),
          "OVERLOADED");
    case absl::StatusCode::kUnavailable:
      return WithReason(
          absl::UnavailableError("no worker answers at the moment; try again in a moment"),
          "NO_WORKER");
    // The registry knows the checkpoint, so what a worker lacks is not the client's mistake.
    default:
      return absl::InternalError(absl::StrCat(
          "no worker could serve the checkpoint: ", std::string(runtime::CodeName(last.code())),
          ": ", last.message()));
  }
}

}  // namespace

// Counts one call on a worker for as long as it lives.
class WorkerPool::Ticket {
 public:
  Ticket(WorkerPool& pool, size_t worker) : pool_(&pool), worker_(worker) {}
  Ticket(Ticket&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)), worker_(other.worker_) {}
  Ticket& operator=(Ticket&&) = delete;
  ~Ticket() {
    if (pool_ != nullptr) pool_->GiveBack(worker_);
  }

 private:
  WorkerPool* pool_;
  size_t worker_;
};

// A worker's stream whose first piece is already here.
class WorkerPool::LeasedStream final : public TokenStream {
 public:
  LeasedStream(Ticket ticket, std::unique_ptr<TokenStream> stream, Piece first)
      : ticket_(std::move(ticket)), stream_(std::move(stream)), first_(std::move(first)) {}

  Awaitable<absl::StatusOr<Piece>> Next() override {
    if (first_) {
      Piece piece = *std::move(first_);
      first_.reset();
      co_return piece;
    }
    co_return co_await stream_->Next();
  }

 private:
  const Ticket ticket_;
  const std::unique_ptr<TokenStream> stream_;
  std::optional<Piece> first_;
};

WorkerPool::WorkerPool(std::vector<Worker> workers, Parts parts) : parts_(parts) {
  for (Worker& worker : workers) {
    Slot& slot = slots_.emplace_back();
    slot.address = std::move(worker.address);
    slot.stub = inference::v1::InferenceService::NewStub(worker.channel);
  }
}

std::optional<size_t> WorkerPool::Take(const std::vector<bool>& tried, std::string_view digest) {
  const absl::Duration now = parts_.clock.Monotonic();
  const std::lock_guard lock(mutex_);
  std::vector<WorkerState> states;
  states.reserve(slots_.size());
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    states.push_back({slot.address, slot.in_flight, slot.failures, slot.resting_until, tried[i]});
  }
  const std::optional<size_t> best = PickWorker(states, digest, now);
  if (best) ++slots_[*best].in_flight;
  return best;
}

void WorkerPool::GiveBack(size_t worker) {
  const std::lock_guard lock(mutex_);
  --slots_[worker].in_flight;
}

void WorkerPool::NoteAnswer(size_t worker) {
  const std::lock_guard lock(mutex_);
  slots_[worker].failures = 0;
  slots_[worker].resting_until = absl::ZeroDuration();
}

void WorkerPool::NoteFailure(size_t worker, const absl::Status& status) {
  const absl::Duration now = parts_.clock.Monotonic();
  absl::Duration rest;
  {
    const std::lock_guard lock(mutex_);
    Slot& slot = slots_[worker];
    rest = RestAfter(++slot.failures);
    slot.resting_until = now + rest;
  }
  parts_.metrics
      .Counter("floe_gateway_worker_failures_total",
               "Calls that a worker could not be reached for.",
               {{"worker", slots_[worker].address}})
      .Increment();
  parts_.logger.Warning("worker rests", {{"worker", slots_[worker].address},
                                         {"error", std::string(status.message())},
                                         {"seconds", absl::ToDoubleSeconds(rest)}});
}

size_t WorkerPool::healthy() const {
  const absl::Duration now = parts_.clock.Monotonic();
  const std::lock_guard lock(mutex_);
  size_t count = 0;
  for (const Slot& slot : slots_) count += slot.resting_until <= now ? 1 : 0;
  return count;
}

Awaitable<absl::StatusOr<std::unique_ptr<TokenStream>>> WorkerPool::Start(
    const CallScope& scope, const GenerateCall& call) {
  const auto executor = co_await boost::asio::this_coro::executor;
  const inference::v1::GenerateRequest request = ToProto(call);
  const runtime::OutgoingCall outgoing = OutgoingFor(scope, absl::InfiniteDuration());
  std::vector<bool> tried(slots_.size(), false);
  absl::Status last = absl::UnavailableError("no workers are configured");
  while (const std::optional<size_t> worker = Take(tried, call.model.digest)) {
    tried[*worker] = true;
    Ticket ticket(*this, *worker);
    auto stream =
        std::make_unique<WorkerStream>(*slots_[*worker].stub, outgoing, request, executor);
    absl::StatusOr<Piece> first = co_await stream->Next();
    if (first.ok()) {
      NoteAnswer(*worker);
      co_return std::make_unique<LeasedStream>(std::move(ticket), std::move(stream),
                                               *std::move(first));
    }
    last = first.status();
    if (absl::IsUnavailable(last)) {
      NoteFailure(*worker, last);
    } else {
      NoteAnswer(*worker);
    }
    if (IsFinal(last)) co_return last;
  }
  co_return AllFailed(last);
}

}  // namespace floe::gateway
