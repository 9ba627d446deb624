#include "services/alignment/executor/worker_scorer.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "base/status_macros.h"
#include "services/runtime/status.h"

namespace floe::runner {
namespace {

namespace pb = ::floe::inference::v1;

// Of one call; a checkpoint that is not in memory yet is loaded first.
constexpr absl::Duration kScoreTime = absl::Minutes(10);
constexpr runtime::RetryPolicy kRetries{.max_attempts = 10};

}  // namespace

Workers::Workers(const std::vector<std::shared_ptr<grpc::Channel>>& channels) {
  for (const auto& channel : channels) stubs_.push_back(pb::InferenceService::NewStub(channel));
}

absl::StatusOr<std::vector<trainer::ScoreAnswer>> WorkerScorer::Score(
    std::span<const trainer::ScoreQuery> queries) {
  if (workers_.empty()) {
    return absl::FailedPreconditionError(
        "this runner knows no worker that could score; give it --workers host:port,...");
  }
  pb::ScoreRequest request;
  request.set_checkpoint_digest(digest_);
  for (const trainer::ScoreQuery& query : queries) {
    auto& sequence = *request.add_sequences();
    for (const int32_t id : query.ids) sequence.add_ids(static_cast<uint32_t>(id));
    sequence.set_score_from(static_cast<int32_t>(query.score_from));
  }
  runtime::OutgoingCall call;
  call.identity = identity_;
  call.deadline = absl::Now() + kScoreTime;
  pb::ScoreResponse response;
  // Scoring changes nothing, so it may be asked again.
  FLOE_RETURN_IF_ERROR(runtime::RetryStatus(kRetries, call.deadline, [&]() -> absl::Status {
    grpc::ClientContext context;
    runtime::PrepareCall(context, call);
    response.Clear();
    const absl::Status status = runtime::FromGrpcStatus(
        workers_.At(turn_ % workers_.size()).Score(&context, request, &response));
    if (status.ok()) return status;
    ++turn_;  // the next one, should this be tried again
    if (!absl::IsResourceExhausted(status)) return status;
    return absl::UnavailableError(status.message());  // a full queue empties
  }));
  std::vector<trainer::ScoreAnswer> answers;
  for (const auto& scores : response.scores()) {
    answers.push_back({{scores.log_probabilities().begin(), scores.log_probabilities().end()},
                       {scores.greedy().begin(), scores.greedy().end()}});
  }
  return answers;
}

}  // namespace floe::runner
