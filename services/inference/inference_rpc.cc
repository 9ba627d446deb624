#include "services/inference/inference_rpc.h"

#include <deque>

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "services/inference/convert.h"
#include "services/inference/event_queue.h"

namespace floe::inference {
namespace {

// Sequences of one Score or Embed call in the scheduler at once: the rest waits here, not in the
// queue.
constexpr size_t kMaxSequencesInFlight = 16;

absl::Status CallerLeft(const runtime::CallContext& call) {
  if (call.time_left() <= absl::ZeroDuration()) {
    return absl::DeadlineExceededError(
        "the deadline passed; ask for fewer tokens or allow more time");
  }
  return absl::CancelledError("the caller left");
}

v1::WorkerStatus::LoadedCheckpoint ToProto(const ServedModel& model, const KvUsage& kv) {
  v1::WorkerStatus::LoadedCheckpoint checkpoint;
  checkpoint.set_digest(model.digest);
  checkpoint.set_parameters(model.parameters);
  checkpoint.set_context(model.scheduler->blueprint().context);
  checkpoint.set_kv_blocks(kv.total_blocks);
  checkpoint.set_kv_blocks_free(kv.free_blocks);
  return checkpoint;
}

// Of all sequences.
template <typename Call>
int64_t IdsOf(const Call& request) {
  int64_t ids = 0;
  for (const auto& sequence : request.sequences()) ids += sequence.ids_size();
  return ids;
}

bool IsTooLate(const absl::Status& status) {
  const std::optional<ErrorReason> reason = ReasonOf(status);
  return reason && reason->reason == "DEADLINE_TOO_SOON";
}

// A request in the scheduler. Cancels it when it is dropped unfinished, and waits until the
// scheduler has let go of it. However it ends, its end is counted, once.
class InFlight {
 public:
  // `attempt` is told what is generated, until this object is gone.
  InFlight(std::shared_ptr<ServedModel> model, InferenceMetrics& metrics,
           AttemptLog::Attempt* attempt)
      : model_(std::move(model)), metrics_(metrics), attempt_(attempt) {}
  ~InFlight() {
    if (!submitted_ || finished_) return;
    model_->scheduler->Cancel(id_);
    while (!finished_) Take();
  }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;

  absl::Status Submit(Request request) {
    FLOE_ASSIGN_OR_RETURN(id_, model_->scheduler->Submit(std::move(request), [this](Event event) {
      events_.Push(std::move(event));
    }));
    submitted_ = true;
    return absl::OkStatus();
  }

  std::optional<Event> Take() {
    std::optional<Event> event = events_.Take();
    if (event.has_value() && event->finish.has_value()) {
      finished_ = true;
      metrics_.ObserveFinish(model_->digest, *event->finish);
    }
    if (event.has_value() && attempt_ != nullptr) {
      attempt_->computed_tokens += static_cast<int64_t>(event->ids.size());
      attempt_->prefix_cached_tokens += event->cached_tokens;
      if (event->finish.has_value()) attempt_->NoteUsage(event->finish->usage);
    }
    return event;
  }

  // The next event, unless `may_go_on` says before that the call has to end; `watch` asks it.
  absl::StatusOr<Event> Next(runtime::CallWatch& watch,
                             absl::FunctionRef<absl::Status()> may_go_on) {
    const auto watched =
        watch.Watch([may_go_on] { return !may_go_on().ok(); }, [this] { events_.Wake(); });
    while (true) {
      if (auto event = Take()) return *std::move(event);
      FLOE_RETURN_IF_ERROR(may_go_on());
    }
  }

 private:
  const std::shared_ptr<ServedModel> model_;  // shared: keeps the model loaded
  InferenceMetrics& metrics_;
  AttemptLog::Attempt* const attempt_;  // borrowed; may be null
  EventQueue events_;
  RequestId id_ = 0;
  bool submitted_ = false;
  bool finished_ = false;
};

}  // namespace

void InferenceRpc::EndBy(absl::Time time) {
  pool_.StopAccepting();
  end_by_ = absl::ToUnixNanos(time);
}

absl::StatusOr<std::shared_ptr<ServedModel>> InferenceRpc::Acquire(const runtime::CallContext& call,
                                                                   const std::string& digest) {
  const auto is_over = [&call] { return call.cancelled(); };
  const auto watched = watch_.Watch(is_over, [this] { pool_.WakeWaiting(); });
  return pool_.Acquire(digest, is_over);
}

absl::Status InferenceRpc::MayGoOn(const runtime::CallContext& call) const {
  if (call.cancelled()) return CallerLeft(call);
  if (absl::ToUnixNanos(clock_.Now()) < end_by_) return absl::OkStatus();
  return WithReason(
      absl::UnavailableError("the worker is shutting down; go on with the answer at another one"),
      "HANDED_OVER");
}

grpc::Status InferenceRpc::Generate(grpc::ServerContext* context,
                                    const v1::GenerateRequest* request,
                                    grpc::ServerWriter<v1::GenerateResponse>* writer) {
  return calls_.Run(
      *context, "inference.Generate",
      [&](runtime::CallContext& call) { return Stream(call, *request, *writer); },
      runtime::CallKind::kStream);
}

absl::Status InferenceRpc::Stream(runtime::CallContext& call, const v1::GenerateRequest& request,
                                  grpc::ServerWriter<v1::GenerateResponse>& writer) {
  FLOE_ASSIGN_OR_RETURN(const std::shared_ptr<ServedModel> model,
                        Acquire(call, request.checkpoint_digest()));
  AttemptLog::Attempt attempt(
      attempts_, {request.usage_id(), request.checkpoint_digest(), request.prompt_ids_size()},
      clock_.Now());
  const absl::Status status = Answer(call, request, model, attempt, writer);
  return attempt.SignFor(status);
}

absl::Status InferenceRpc::Answer(runtime::CallContext& call, const v1::GenerateRequest& request,
                                  const std::shared_ptr<ServedModel>& model,
                                  AttemptLog::Attempt& attempt,
                                  grpc::ServerWriter<v1::GenerateResponse>& writer) {
  FLOE_ASSIGN_OR_RETURN(Request domain, RequestFromProto(request, *model));
  domain.time_left = call.time_left();
  InFlight in_flight(model, metrics_, &attempt);
  FLOE_RETURN_IF_ERROR(in_flight.Submit(std::move(domain)));
  attempt.Begin();
  absl::Duration last_token = absl::InfiniteDuration();
  const auto may_go_on = [&] { return MayGoOn(call); };
  while (true) {
    FLOE_ASSIGN_OR_RETURN(const Event event, in_flight.Next(watch_, may_go_on));
    const absl::Duration now = clock_.Monotonic();
    if (!event.ids.empty()) {
      if (last_token != absl::InfiniteDuration()) {
        metrics_.ObserveGap(request.checkpoint_digest(),
                            (now - last_token) / static_cast<int64_t>(event.ids.size()));
      }
      last_token = now;
    }
    if (event.finish.has_value()) {
      attempt.NoteEnd(event.finish->status);
      FLOE_RETURN_IF_ERROR(event.finish->status);
    }
    // An id whose text is still incomplete is sent all the same: ids are counted as they come.
    // Before the write: what a call that is cancelled meanwhile had handed over may have arrived.
    attempt.sent_tokens += static_cast<int64_t>(event.ids.size());
    v1::GenerateResponse response = ToProto(event, *model);
    // Signed ahead of its last message, which carries the receipt.
    if (event.finish.has_value()) response.mutable_finish()->set_receipt(attempt.Sign());
    if (!writer.Write(response)) return CallerLeft(call);
    if (event.finish.has_value()) return absl::OkStatus();
    FLOE_RETURN_IF_ERROR(MayGoOn(call));
  }
}

grpc::Status InferenceRpc::Score(grpc::ServerContext* context, const v1::ScoreRequest* request,
                                 v1::ScoreResponse* response) {
  return calls_.Run(*context, "inference.Score", [&](runtime::CallContext& call) {
    return RunAll(
        call, {request->checkpoint_digest(), request->sequences_size(), IdsOf(*request)},
        [&](int index) { return RequestFromProto(request->sequences(index)); },
        [&](const Event& event) { *response->add_scores() = ToProto(event.scores); });
  });
}

grpc::Status InferenceRpc::Embed(grpc::ServerContext* context, const v1::EmbedRequest* request,
                                 v1::EmbedResponse* response) {
  return calls_.Run(*context, "inference.Embed", [&](runtime::CallContext& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const ServiceTier tier, TierOf(request->service_tier()));
    AttemptLog::Attempt attempt(
        attempts_, {request->usage_id(), request->checkpoint_digest(), IdsOf(*request)},
        clock_.Now());
    const absl::Status status = RunAll(
        call,
        {request->checkpoint_digest(), request->sequences_size(), IdsOf(*request), tier, &attempt},
        [&](int index) { return EmbeddingFromProto(*request, index); },
        [&](const Event& event) {
          response->add_embeddings()->mutable_values()->Add(event.embedding.begin(),
                                                            event.embedding.end());
        });
    attempt.NoteEnd(status);
    if (status.ok()) response->set_receipt(attempt.Sign());
    return attempt.SignFor(status);
  });
}

absl::Status InferenceRpc::RunAll(runtime::CallContext& call, const Batch& batch,
                                  absl::FunctionRef<absl::StatusOr<Request>(int index)> make,
                                  absl::FunctionRef<void(const Event&)> take) {
  FLOE_ASSIGN_OR_RETURN(const std::shared_ptr<ServedModel> model, Acquire(call, batch.digest));
  FLOE_RETURN_IF_ERROR(model->scheduler->CanFinish(batch.tier, batch.tokens, call.time_left()));
  if (batch.attempt != nullptr) batch.attempt->Begin();
  std::deque<std::unique_ptr<InFlight>> in_flight;  // in the order of the sequences
  int next = 0;
  while (next < batch.count || !in_flight.empty()) {
    if (next < batch.count && in_flight.size() < kMaxSequencesInFlight) {
      FLOE_ASSIGN_OR_RETURN(Request domain, make(next));
      domain.time_left = call.time_left();
      auto one = std::make_unique<InFlight>(model, metrics_, batch.attempt);
      const absl::Status status = one->Submit(std::move(domain));
      if (status.ok()) {
        in_flight.push_back(std::move(one));
        ++next;
        continue;
      }
      // A full queue empties while our own sequences are computed.
      if (!absl::IsResourceExhausted(status) || IsTooLate(status) || in_flight.empty()) {
        return status;
      }
    }
    FLOE_ASSIGN_OR_RETURN(const Event event,
                          in_flight.front()->Next(watch_, [&] { return MayGoOn(call); }));
    FLOE_RETURN_IF_ERROR(event.finish->status);
    take(event);
    in_flight.pop_front();
  }
  return absl::OkStatus();
}

grpc::Status InferenceRpc::GetWorkerStatus(grpc::ServerContext* context,
                                           const v1::GetWorkerStatusRequest* request,
                                           v1::WorkerStatus* response) {
  return calls_.Run(*context, "inference.GetWorkerStatus", [&](runtime::CallContext&) {
    for (const auto& model : pool_.Loaded()) {
      const SchedulerStats stats = model->scheduler->stats();
      response->set_requests_running(response->requests_running() +
                                     static_cast<int>(stats.running));
      response->set_requests_waiting(response->requests_waiting() +
                                     static_cast<int>(stats.waiting));
      *response->add_checkpoints() = ToProto(*model, stats.kv);
    }
    return absl::OkStatus();
  });
}

grpc::Status InferenceRpc::LoadCheckpoint(grpc::ServerContext* context,
                                          const v1::LoadCheckpointRequest* request,
                                          v1::WorkerStatus::LoadedCheckpoint* response) {
  return calls_.Run(*context, "inference.LoadCheckpoint", [&](runtime::CallContext& call) {
    const auto model = Acquire(call, request->digest());
    if (model.ok()) *response = ToProto(**model, (*model)->scheduler->stats().kv);
    return model.status();
  });
}

grpc::Status InferenceRpc::UnloadCheckpoint(grpc::ServerContext* context,
                                            const v1::UnloadCheckpointRequest* request,
                                            v1::UnloadCheckpointResponse* response) {
  return calls_.Run(*context, "inference.UnloadCheckpoint",
                    [&](runtime::CallContext&) { return pool_.Unload(request->digest()); });
}

}  // namespace floe::inference
