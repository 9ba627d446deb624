// One answer, by as many workers as it takes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "floe/inference/v1/inference.pb.h"
#include "gateway/ports.h"
#include "gateway/routing/patience.h"
#include "services/gateway/clients/pause.h"
#include "services/gateway/clients/worker_slots.h"
#include "services/runtime/client.h"

namespace floe::gateway {

// When the present worker fails, the answer goes on at another one: what was generated goes along
// as part of the prompt, and since a token is a function of ids, seed and position, it goes on as
// if nothing had happened. While no other worker takes it, it waits (gateway/routing/patience.h),
// but only in mid-stream: before anything was told the client may as well ask again. Used on the
// executor that it was made on; borrows its parts and what `call` refers to the meter of.
class MovingAnswer final : public TokenStream {
 public:
  struct Parts {
    WorkerSlots& slots;
    const Clock& clock;
    Pause pause;
    std::function<uint64_t()> draw;  // bits, which spread the waits of many answers
  };
  MovingAnswer(Parts parts, const CallScope& scope, const GenerateCall& call,
               const boost::asio::any_io_executor& executor);

  // Ends when the first piece has come from one of the workers. Errors as Generator::Start.
  Awaitable<absl::Status> Begin();

  Awaitable<absl::StatusOr<Piece>> Next() override;

 private:
  // From a worker that was not tried yet; `last`, or what came after it, when there is none.
  Awaitable<absl::StatusOr<Piece>> NextOfSomebody(absl::Status last);
  // From the present worker; what it repeats is taken out.
  Awaitable<absl::StatusOr<Piece>> NextHere();
  // Off the present worker, because of `why`.
  void Leave(const absl::Status& why);
  // All were tried: how long to wait before those that may take it later are asked again, if any.
  std::optional<absl::Duration> WaitForNextRound();

  inference::v1::GenerateRequest RequestFromHere();
  // What the present worker's first or last word means for the request.
  void NoteStatus(const absl::Status& status);
  // INTERNAL when another worker does not go on as the first did: not the same program or machine.
  absl::Status TakeOutRepetition(Piece& piece);
  void Remember(Piece& piece);

  const Parts parts_;
  const runtime::OutgoingCall outgoing_;
  const uint64_t key_;  // of what it shares with others
  const inference::v1::GenerateRequest request_;
  Meter* const meter_;  // of the request that owns this stream; may be null
  const boost::asio::any_io_executor executor_;

  std::vector<bool> tried_;     // in this round
  std::vector<bool> lost_;      // not asked again until another brings the answer further
  bool somebody_full_ = false;  // in this round
  std::optional<int> retry_after_seconds_;  // the soonest of this round's refusals
  Patience patience_;

  std::optional<WorkerSlots::Ticket> ticket_;  // at the present worker
  std::unique_ptr<TokenStream> stream_;
  bool answered_ = false;  // the present worker has, by a piece or an error
  bool spoke_ = false;     // by a piece
  bool moved_ = false;     // in mid-stream

  std::optional<Piece> first_;
  std::vector<TokenLogProbs> prompt_logprobs_;  // until an id goes with them
  std::vector<uint32_t> generated_;             // ids of the answer so far
  size_t generated_before_ = 0;                 // of them by others than the present worker
  size_t text_bytes_ = 0;                       // and how much text of it has come
  bool replays_id_ = false;   // the last id is to come again from the present worker
  size_t replayed_text_ = 0;  // and so much text
};

}  // namespace floe::gateway
