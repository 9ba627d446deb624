#include "services/gateway/clients/worker_pool.h"

#include <prometheus/counter.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "services/gateway/clients/unary_call.h"
#include "services/gateway/clients/worker_stream.h"
#include "services/runtime/status.h"

namespace floe::gateway {
namespace {

namespace pb = inference::v1;

constexpr char kLowestTier[] = "flex";

// What another worker would say as well, or what ended the request itself.
bool IsFinal(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsCancelled(status) ||
         absl::IsDeadlineExceeded(status);
}

// The worker shuts down: it refuses what is new, and hands over what it could not finish.
bool Drains(const absl::Status& status) {
  const std::optional<ErrorReason> reason = ReasonOf(status);
  return reason && (reason->reason == "DRAINING" || reason->reason == "HANDED_OVER");
}

// It has not begun the request.
bool TookNothing(const absl::Status& status) {
  const std::optional<ErrorReason> reason = ReasonOf(status);
  return absl::IsResourceExhausted(status) || absl::IsInvalidArgument(status) ||
         (reason && reason->reason == "DRAINING");
}

absl::StatusOr<std::vector<std::vector<float>>> VectorsOf(const pb::EmbedResponse& answer,
                                                          size_t inputs) {
  if (static_cast<size_t>(answer.embeddings_size()) != inputs) {
    return absl::InternalError(absl::StrCat("a worker gave ", answer.embeddings_size(),
                                            " vectors for ", inputs, " texts"));
  }
  std::vector<std::vector<float>> vectors;
  vectors.reserve(inputs);
  for (const auto& one : answer.embeddings()) {
    vectors.emplace_back(one.values().begin(), one.values().end());
  }
  return vectors;
}

// When a worker that refuses would have room.
std::optional<int> RetryAfterOf(const absl::Status& refusal) {
  const std::optional<ErrorReason> reason = ReasonOf(refusal);
  if (!reason) return std::nullopt;
  const auto after = reason->metadata.find("retry_after_seconds");
  int seconds = 0;
  if (after == reason->metadata.end() || !absl::SimpleAtoi(after->second, &seconds)) {
    return std::nullopt;
  }
  return std::max(1, seconds);
}

// The answer when every worker was tried.
absl::Status AllFailed(const absl::Status& last, const std::optional<int>& retry_after_seconds) {
  switch (last.code()) {
    case absl::StatusCode::kResourceExhausted: {
      const int seconds = retry_after_seconds.value_or(1);
      return WithReason(absl::ResourceExhaustedError(absl::StrCat(
                            "all workers are busy, or would answer too late; try again in ",
                            seconds, seconds == 1 ? " second" : " seconds")),
                        "OVERLOADED", {{"retry_after_seconds", absl::StrCat(seconds)}});
    }
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

// One answer, by as many workers as it takes.
class WorkerPool::Answer final : public TokenStream {
 public:
  Answer(WorkerPool& pool, const CallScope& scope, const GenerateCall& call,
         const boost::asio::any_io_executor& executor)
      : pool_(pool),
        outgoing_(OutgoingFor(scope, absl::InfiniteDuration())),
        key_(PrefixKey(call.model.digest, call.cache_salt, call.prompt_ids)),
        request_(ToProto(call)),
        meter_(call.meter),
        executor_(executor),
        tried_(pool.slots_.size(), false) {}

  // Ends when the next piece has come from one of the workers.
  Awaitable<absl::Status> Begin() {
    absl::StatusOr<Piece> first =
        co_await NextOfSomebody(absl::UnavailableError("no workers are configured"));
    if (!first.ok())
      co_return IsFinal(first.status()) ? first.status()
                                        : AllFailed(first.status(), retry_after_seconds_);
    first_ = *std::move(first);
    co_return absl::OkStatus();
  }

  Awaitable<absl::StatusOr<Piece>> Next() override {
    if (first_) co_return *std::exchange(first_, std::nullopt);
    absl::StatusOr<Piece> piece = co_await NextHere();
    if (piece.ok() || IsFinal(piece.status())) co_return piece;
    co_return co_await NextOfSomebody(piece.status());
  }

 private:
  // From a worker that was not tried yet; `last`, or what came after it, when there is none.
  Awaitable<absl::StatusOr<Piece>> NextOfSomebody(absl::Status last) {
    while (true) {
      stream_.reset();
      ticket_.reset();
      // Who brought the answer further has not failed it: workers that come and go one after the
      // other, as in an upgrade, end no answer.
      if (generated_.size() > generated_before_) {
        tried_.assign(tried_.size(), false);
        tried_[worker_] = true;
      }
      const std::optional<size_t> worker = pool_.Take(tried_, key_);
      if (!worker) co_return last;
      if (!generated_.empty()) pool_.NoteMove(last);
      tried_[*worker] = true;
      worker_ = *worker;
      ticket_.emplace(pool_, worker_);
      stream_ = std::make_unique<WorkerStream>(*pool_.slots_[worker_].stub, outgoing_,
                                               RequestFromHere(), executor_);
      absl::StatusOr<Piece> piece = co_await NextHere();
      if (piece.ok()) {
        pool_.NoteAnswer(worker_);
        co_return piece;
      }
      last = piece.status();
      if (IsFinal(last)) co_return last;
    }
  }

  // From the present worker; what it repeats is taken out.
  Awaitable<absl::StatusOr<Piece>> NextHere() {
    while (true) {
      absl::StatusOr<Piece> piece = co_await stream_->Next();
      NoteRefusal(piece.status());
      if (!piece.ok()) {
        if (absl::IsUnavailable(piece.status())) {
          pool_.NoteFailure(worker_, piece.status());
        } else {
          pool_.NoteAnswer(worker_);
        }
        co_return piece;
      }
      const absl::Status fits = TakeOutRepetition(*piece);
      if (!fits.ok()) co_return fits;
      Remember(*piece);
      std::move(piece->prompt_logprobs.begin(), piece->prompt_logprobs.end(),
                std::back_inserter(prompt_logprobs_));
      if (!piece->ids.empty() || !piece->text.empty() || piece->finish) {
        piece->prompt_logprobs = std::exchange(prompt_logprobs_, {});
        co_return piece;
      }
    }
  }

  // A worker that refuses has taken nothing on.
  void NoteRefusal(const absl::Status& status) {
    const bool first = std::exchange(answered_, true) == false;
    if (const std::optional<int> after = RetryAfterOf(status)) {
      retry_after_seconds_ = std::min(*after, retry_after_seconds_.value_or(*after));
    }
    if (!first || meter_ == nullptr) return;
    if (TookNothing(status)) --meter_->attempts;
  }

  // The last id is generated again: it may have been the one that ends the answer.
  inference::v1::GenerateRequest RequestFromHere() {
    answered_ = false;
    inference::v1::GenerateRequest request = request_;
    if (meter_ != nullptr) {
      ++meter_->attempts;
      request.set_attempt(++meter_->calls);
    }
    generated_before_ = generated_.size();
    replays_id_ = !generated_.empty();
    replayed_text_ = text_bytes_;
    prompt_logprobs_.clear();  // of a worker that did not come to an id: they come again
    if (generated_.empty()) return request;
    moved_ = true;
    if (request.has_log_probabilities()) request.mutable_log_probabilities()->clear_prompt();
    const auto continued = static_cast<int32_t>(generated_.size()) - 1;
    request.mutable_prompt_ids()->Add(generated_.begin(), generated_.end() - 1);
    request.set_continued_ids(continued);
    request.set_max_tokens(request_.max_tokens() - continued);
    return request;
  }

  // INTERNAL when another worker does not go on as the first did: not the same program or machine.
  absl::Status TakeOutRepetition(Piece& piece) {
    if (replays_id_ && !piece.ids.empty()) {
      if (piece.ids.front() != generated_.back()) {
        return absl::InternalError(
            "another worker did not continue the answer with the same token; are all workers of "
            "one build and instruction set?");
      }
      piece.ids.erase(piece.ids.begin());
      if (!piece.logprobs.empty()) piece.logprobs.erase(piece.logprobs.begin());
      replays_id_ = false;
    }
    const size_t again = std::min(replayed_text_, piece.text.size());
    piece.text.erase(0, again);
    replayed_text_ -= again;
    return absl::OkStatus();
  }

  void Remember(Piece& piece) {
    generated_.insert(generated_.end(), piece.ids.begin(), piece.ids.end());
    text_bytes_ += piece.text.size();
    if (!piece.finish || !moved_) return;
    piece.finish->prompt_tokens = request_.prompt_ids_size();
    piece.finish->completion_tokens = static_cast<int64_t>(generated_.size());
    // The last worker knows only its own part of the time.
    piece.finish->tier_met = kLowestTier;
  }

  WorkerPool& pool_;
  const runtime::OutgoingCall outgoing_;
  const uint64_t key_;  // of what it shares with others
  const inference::v1::GenerateRequest request_;
  Meter* const meter_;  // of the request that owns this stream; may be null
  const boost::asio::any_io_executor executor_;
  std::vector<bool> tried_;
  std::optional<int> retry_after_seconds_;  // the soonest of the workers that refused
  bool answered_ = false;                   // the present attempt, by a piece or an error
  bool moved_ = false;                      // in mid-stream
  size_t worker_ = 0;
  std::optional<Ticket> ticket_;
  std::unique_ptr<TokenStream> stream_;
  std::optional<Piece> first_;
  std::vector<TokenLogProbs> prompt_logprobs_;  // until an id goes with them
  std::vector<uint32_t> generated_;             // ids of the answer so far
  size_t generated_before_ = 0;                 // of them by others than the present worker
  size_t text_bytes_ = 0;                       // and how much text of it has come
  bool replays_id_ = false;   // the last id is to come again from the present worker
  size_t replayed_text_ = 0;  // and so much text
};

WorkerPool::WorkerPool(std::vector<Worker> workers, Parts parts) : parts_(parts) {
  for (Worker& worker : workers) {
    Slot& slot = slots_.emplace_back();
    slot.address = std::move(worker.address);
    slot.stub = inference::v1::InferenceService::NewStub(worker.channel);
  }
}

std::optional<size_t> WorkerPool::Take(const std::vector<bool>& tried, uint64_t key) {
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
  return picked->index;
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

void WorkerPool::NoteMove(const absl::Status& status) {
  parts_.metrics
      .Counter("floe_gateway_moved_streams_total",
               "Answers that went on at another worker in mid-stream.",
               {{"reason", Drains(status) ? "drain" : "failure"}})
      .Increment();
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
  auto answer =
      std::make_unique<Answer>(*this, scope, call, co_await boost::asio::this_coro::executor);
  const absl::Status begun = co_await answer->Begin();
  if (!begun.ok()) co_return begun;
  co_return answer;
}

Awaitable<absl::StatusOr<std::vector<std::vector<float>>>> WorkerPool::Embed(
    const CallScope& scope, const EmbedCall& call) {
  const runtime::OutgoingCall outgoing = OutgoingFor(scope, absl::InfiniteDuration());
  const pb::EmbedRequest request = ToProto(call);
  std::vector<bool> tried(slots_.size(), false);
  std::optional<int> retry_after;
  absl::Status last = absl::UnavailableError("no workers are configured");
  // Nothing is shared but the checkpoint.
  const uint64_t key = PrefixKey(call.model.digest, "", {});
  while (const std::optional<size_t> worker = Take(tried, key)) {
    tried[*worker] = true;
    const Ticket ticket(*this, *worker);
    ++call.meter->attempts;
    auto method = [stub = slots_[*worker].stub.get()](
                      grpc::ClientContext* context, const pb::EmbedRequest* ask,
                      pb::EmbedResponse* answer, std::function<void(grpc::Status)> done) {
      stub->async()->Embed(context, ask, answer, std::move(done));
    };
    const absl::StatusOr<pb::EmbedResponse> answer =
        co_await CallUnary<pb::EmbedResponse>(outgoing, request, std::move(method));
    if (answer.ok()) {
      NoteAnswer(*worker);
      co_return VectorsOf(*answer, call.input_ends.size());
    }
    last = answer.status();
    if (const std::optional<int> after = RetryAfterOf(last)) {
      retry_after = std::min(*after, retry_after.value_or(*after));
    }
    if (TookNothing(last)) --call.meter->attempts;
    absl::IsUnavailable(last) ? NoteFailure(*worker, last) : NoteAnswer(*worker);
    if (IsFinal(last)) co_return last;
  }
  co_return AllFailed(last, retry_after);
}

}  // namespace floe::gateway
