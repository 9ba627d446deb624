#include "services/gateway/clients/worker_stream.h"

#include <grpcpp/support/client_callback.h>

#include <mutex>
#include <optional>
#include <utility>

#include "services/runtime/proto_time.h"
#include "services/runtime/status.h"

namespace floe::gateway {
namespace {

namespace pb = inference::v1;

TokenLogProb FromProto(const pb::IdLogProbability& from) {
  return {from.token(), from.log_probability()};
}

TokenLogProbs FromProto(const pb::IdLogProbabilities& from) {
  TokenLogProbs out{.id = from.chosen().id(),
                    .chosen = FromProto(from.chosen()),
                    .in_text = from.text_bytes() > 0,
                    .first = from.first()};
  for (const pb::IdLogProbability& one : from.top()) out.top.push_back(FromProto(one));
  return out;
}

Piece FromProto(pb::GenerateResponse& response) {
  Piece piece;
  piece.ids.assign(response.ids().begin(), response.ids().end());
  for (const pb::IdLogProbabilities& one : response.log_probabilities()) {
    piece.logprobs.push_back(FromProto(one));
  }
  for (const pb::IdLogProbabilities& one : response.prompt_log_probabilities()) {
    piece.prompt_logprobs.push_back(FromProto(one));
  }
  piece.text = std::move(*response.mutable_text());
  piece.cached_prompt = response.cached_tokens();
  if (!response.has_finish()) return piece;
  const pb::Finish& finish = response.finish();
  piece.finish = Finish{
      .reason = finish.reason() == pb::Finish::LENGTH ? FinishReason::kLength : FinishReason::kStop,
      .prompt_tokens = finish.prompt_tokens(),
      .completion_tokens = finish.completion_tokens(),
      .tier_met = finish.service_tier_met(),
      .queue_time = runtime::FromProto(finish.queue_time()),
      .time_to_first_token = runtime::FromProto(finish.time_to_first_token()),
      .total_time = runtime::FromProto(finish.total_time()),
      .receipt = finish.receipt()};
  return piece;
}

void AddConstraint(const ResponseFormat& format, pb::GenerateRequest& request) {
  switch (format.kind) {
    case ResponseFormat::Kind::kText:
      return;
    case ResponseFormat::Kind::kJsonObject:
      request.mutable_constraint()->set_json_object(true);
      return;
    case ResponseFormat::Kind::kJsonSchema:
      request.mutable_constraint()->set_json_schema(format.text);
      return;
    case ResponseFormat::Kind::kRegex:
      request.mutable_constraint()->set_regex(format.text);
      return;
    case ResponseFormat::Kind::kGrammar:
      request.mutable_constraint()->set_ebnf(format.text);
      return;
  }
}

void AddSampling(const Sampling& from, pb::Sampling& sampling) {
  sampling.set_temperature(from.temperature);
  sampling.set_top_k(from.top_k);
  sampling.set_top_p(from.top_p);
  sampling.set_min_p(from.min_p);
  sampling.set_seed(from.seed.value_or(0));
  sampling.set_presence_penalty(from.presence_penalty);
  sampling.set_frequency_penalty(from.frequency_penalty);
  sampling.set_repetition_penalty(from.repetition_penalty);
  for (const auto& [id, bias] : from.logit_bias) {
    pb::Sampling::LogitBias& added = *sampling.add_logit_bias();
    added.set_id(id);
    added.set_bias(bias);
  }
}

}  // namespace

pb::GenerateRequest ToProto(const GenerateCall& call) {
  pb::GenerateRequest request;
  request.set_checkpoint_digest(call.model.digest);
  request.mutable_prompt_ids()->Add(call.prompt_ids.begin(), call.prompt_ids.end());
  AddSampling(call.sampling, *request.mutable_sampling());
  if (call.logprobs) {
    request.mutable_log_probabilities()->set_top(call.logprobs->top);
    request.mutable_log_probabilities()->set_sampled(call.logprobs->sampled);
    request.mutable_log_probabilities()->set_prompt(call.prompt_logprobs);
  }
  request.set_max_tokens(static_cast<int32_t>(call.max_tokens));
  for (const std::string& stop : call.stop) *request.add_stop() = stop;
  request.set_service_tier(std::string(TierName(call.tier)));
  request.set_cache_salt(call.cache_salt);
  request.set_usage_id(call.usage_id);
  AddConstraint(call.response_format, request);
  return request;
}

pb::EmbedRequest ToProto(const EmbedCall& call) {
  pb::EmbedRequest request;
  request.set_checkpoint_digest(call.model.digest);
  size_t begin = 0;
  for (const size_t end : call.input_ends) {
    auto& ids = *request.add_sequences()->mutable_ids();
    ids.Add(call.ids.begin() + static_cast<std::ptrdiff_t>(begin),
            call.ids.begin() + static_cast<std::ptrdiff_t>(end));
    begin = end;
  }
  request.set_service_tier(std::string(TierName(call.tier)));
  request.set_pooling(call.pooling == EmbeddingAsk::Pooling::kLast ? pb::EmbedRequest::LAST
                                                                   : pb::EmbedRequest::MEAN);
  request.set_dimensions(static_cast<int32_t>(call.dimensions));
  request.set_usage_id(call.usage_id);
  return request;
}

struct WorkerStream::Event {
  std::optional<pb::GenerateResponse> message;
  grpc::Status status;  // without a message: how the call ended
};

// gRPC's side of the call. A hold keeps OnDone away while the owner may still start a read; it is
// removed once, by the read that fails or by the owner that leaves with no read under way.
class WorkerStream::Reactor final : public grpc::ClientReadReactor<pb::GenerateResponse> {
 public:
  Reactor(Handoff<Event>::Giver give, pb::GenerateRequest request)
      : request_(std::move(request)), give_(std::move(give)) {}

  void Start(pb::InferenceService::Stub& stub, const runtime::OutgoingCall& call) {
    runtime::PrepareCall(context_, call);
    stub.async()->Generate(&context_, &request_, this);
    AddHold();
    reading_ = true;
    StartRead(&response_);
    StartCall();
  }

  // The owner took the last message and wants another.
  void ReadOn() {
    {
      const std::lock_guard lock(mutex_);
      if (ended_) return;
      reading_ = true;
    }
    StartRead(&response_);
  }

  // The owner leaves: this object deletes itself when gRPC is done. A call that has told its finish
  // is left to end by itself, so that the worker does not see it cancelled.
  void Abandon(bool finished) {
    if (!finished) context_.TryCancel();
    bool remove = false;
    {
      const std::lock_guard lock(mutex_);
      abandoned_ = true;
      remove = !reading_ && !ended_;
      if (remove) ended_ = true;
    }
    if (remove) RemoveHold();
    DeleteWhenDone(/*done=*/false);
  }

  void OnReadDone(bool ok) override {
    bool remove = false;
    {
      const std::lock_guard lock(mutex_);
      reading_ = false;
      // A failed read, and any read after the owner left, is the last.
      remove = !ok || abandoned_;
      if (remove) ended_ = true;
    }
    if (ok) give_({std::move(response_), {}});
    if (remove) RemoveHold();
  }

  void OnDone(const grpc::Status& status) override {
    give_({std::nullopt, status});
    DeleteWhenDone(/*done=*/true);
  }

 private:
  void DeleteWhenDone(bool done) {
    bool gone = false;
    {
      const std::lock_guard lock(mutex_);
      (done ? done_ : left_) = true;
      gone = done_ && left_;
    }
    if (gone) delete this;
  }

  grpc::ClientContext context_;
  const pb::GenerateRequest request_;
  pb::GenerateResponse response_;  // gRPC's while a read is under way
  const Handoff<Event>::Giver give_;
  std::mutex mutex_;
  bool reading_ = false;    // guarded by mutex_
  bool ended_ = false;      // guarded by mutex_: no further read; the hold is removed
  bool abandoned_ = false;  // guarded by mutex_
  bool done_ = false;       // guarded by mutex_: OnDone was called
  bool left_ = false;       // guarded by mutex_: the owner is gone
};

WorkerStream::WorkerStream(pb::InferenceService::Stub& stub, const runtime::OutgoingCall& call,
                           pb::GenerateRequest request,
                           const boost::asio::any_io_executor& executor)
    : events_(executor), reactor_(new Reactor(events_.giver(), std::move(request))) {
  reactor_->Start(stub, call);
}

WorkerStream::~WorkerStream() { reactor_->Abandon(finished_); }

Awaitable<absl::StatusOr<Piece>> WorkerStream::Next() {
  Event event = co_await events_.Take();
  if (!event.message) {
    // This side has not cancelled: it would not be here.
    if (event.status.error_code() == grpc::StatusCode::CANCELLED) {
      co_return absl::UnavailableError("the worker cancelled its stream");
    }
    if (!event.status.ok()) co_return runtime::FromGrpcStatus(event.status);
    co_return absl::UnavailableError("the worker ended its stream without saying how");
  }
  Piece piece = FromProto(*event.message);
  finished_ = piece.finish.has_value();
  reactor_->ReadOn();
  co_return piece;
}

}  // namespace floe::gateway
