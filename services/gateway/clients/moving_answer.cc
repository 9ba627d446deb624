#include "services/gateway/clients/moving_answer.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "services/gateway/clients/unary_call.h"
#include "services/gateway/clients/worker_refusals.h"
#include "services/gateway/clients/worker_stream.h"
#include "services/usage/receipt_status.h"

namespace floe::gateway {
namespace {

constexpr char kLowestTier[] = "flex";

// Whatever a worker said last: it was the time that ended the wait.
absl::Status TimeIsUp() {
  return absl::DeadlineExceededError(
      "the time ran out while the answer waited for another worker; allow more, or ask again");
}

}  // namespace

MovingAnswer::MovingAnswer(Parts parts, const CallScope& scope, const GenerateCall& call,
                           const boost::asio::any_io_executor& executor)
    : parts_(std::move(parts)),
      outgoing_(OutgoingFor(scope, absl::InfiniteDuration())),
      key_(PrefixKey(call.model.digest, call.cache_salt, call.prompt_ids)),
      request_(ToProto(call)),
      meter_(call.meter),
      executor_(executor),
      tried_(parts_.slots.size(), false),
      lost_(parts_.slots.size(), false) {}

Awaitable<absl::Status> MovingAnswer::Begin() {
  absl::StatusOr<Piece> first =
      co_await NextOfSomebody(absl::UnavailableError("no workers are configured"));
  if (!first.ok()) {
    co_return IsFinal(first.status()) ? first.status()
                                      : AllFailed(first.status(), retry_after_seconds_);
  }
  first_ = *std::move(first);
  co_return absl::OkStatus();
}

Awaitable<absl::StatusOr<Piece>> MovingAnswer::Next() {
  if (first_) co_return *std::exchange(first_, std::nullopt);
  absl::StatusOr<Piece> piece = co_await NextHere();
  if (piece.ok() || IsFinal(piece.status())) co_return piece;
  co_return co_await NextOfSomebody(piece.status());
}

Awaitable<absl::StatusOr<Piece>> MovingAnswer::NextOfSomebody(absl::Status last) {
  const bool told = !generated_.empty();
  const absl::Status left = last;
  bool waited = false;
  while (true) {
    if (stream_ != nullptr) Leave(last);
    std::optional<WorkerSlots::Ticket> ticket = parts_.slots.Take(tried_, key_);
    if (!ticket) {
      if (!told) co_return last;
      const std::optional<absl::Duration> wait = WaitForNextRound();
      if (!wait && parts_.clock.Now() >= outgoing_.deadline) co_return TimeIsUp();
      if (!wait) co_return last;
      co_await parts_.pause(*wait);
      waited = true;
      continue;
    }
    const size_t worker = ticket->worker();
    tried_[worker] = true;
    ticket_.emplace(*std::move(ticket));
    stream_ = std::make_unique<WorkerStream>(parts_.slots.stub(worker), outgoing_,
                                             RequestFromHere(), executor_);
    absl::StatusOr<Piece> piece = co_await NextHere();
    if (piece.ok()) {
      parts_.slots.NoteAnswer(worker);
      if (told) parts_.slots.NoteMove(left);
      co_return piece;
    }
    last = piece.status();
    if (waited && absl::IsDeadlineExceeded(last)) co_return TimeIsUp();
    if (IsFinal(last)) co_return last;
  }
}

Awaitable<absl::StatusOr<Piece>> MovingAnswer::NextHere() {
  while (true) {
    absl::StatusOr<Piece> piece = co_await stream_->Next();
    NoteStatus(piece.status());
    if (!piece.ok()) {
      if (absl::IsUnavailable(piece.status())) {
        parts_.slots.NoteFailure(ticket_->worker(), piece.status());
      } else {
        parts_.slots.NoteAnswer(ticket_->worker());
      }
      co_return piece;
    }
    spoke_ = true;
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

void MovingAnswer::Leave(const absl::Status& why) {
  const size_t worker = ticket_->worker();
  stream_.reset();
  ticket_.reset();
  const bool further = generated_.size() > generated_before_;
  // Who brought the answer further has not failed it: workers that come and go one after the other,
  // as in an upgrade, end no answer.
  if (further) {
    tried_.assign(tried_.size(), false);
    lost_.assign(lost_.size(), false);
    tried_[worker] = true;
    patience_ = {};
  }
  if (absl::IsResourceExhausted(why)) somebody_full_ = true;
  // Who took it on and broke off where it was may do so every time: an answer that brings workers
  // down is not to bring them down again.
  if (!MayTakeLater(why) || (spoke_ && !further)) lost_[worker] = true;
}

std::optional<absl::Duration> MovingAnswer::WaitForNextRound() {
  if (std::find(lost_.begin(), lost_.end(), false) == lost_.end()) return std::nullopt;
  Round round{.somebody_full = somebody_full_,
              .time_left = outgoing_.deadline - parts_.clock.Now(),
              .spread = std::ldexp(static_cast<double>(parts_.draw() >> 11), -53)};
  if (retry_after_seconds_) round.soonest_room = absl::Seconds(*retry_after_seconds_);
  const std::optional<absl::Duration> wait = patience_.After(round);
  if (!wait) return std::nullopt;
  parts_.slots.NoteWait(somebody_full_);
  tried_ = lost_;
  somebody_full_ = false;
  retry_after_seconds_.reset();
  return wait;
}

void MovingAnswer::NoteStatus(const absl::Status& status) {
  const bool first = std::exchange(answered_, true) == false;
  KeepSoonest(status, retry_after_seconds_);
  if (meter_ == nullptr) return;
  meter_->NoteReceipt(usage::ReceiptOf(status));
  // A worker that refuses has taken nothing on.
  if (first && TookNothing(status)) --meter_->attempts;
}

// The last id is generated again: it may have been the one that ends the answer.
inference::v1::GenerateRequest MovingAnswer::RequestFromHere() {
  answered_ = false;
  spoke_ = false;
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

absl::Status MovingAnswer::TakeOutRepetition(Piece& piece) {
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

void MovingAnswer::Remember(Piece& piece) {
  generated_.insert(generated_.end(), piece.ids.begin(), piece.ids.end());
  text_bytes_ += piece.text.size();
  if (!piece.finish || !moved_) return;
  piece.finish->prompt_tokens = request_.prompt_ids_size();
  piece.finish->completion_tokens = static_cast<int64_t>(generated_.size());
  // The last worker knows only its own part of the time.
  piece.finish->tier_met = kLowestTier;
}

}  // namespace floe::gateway
