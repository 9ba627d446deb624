#include "services/retrieval/workers.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "services/retrieval/registry_models.h"
#include "services/runtime/client.h"
#include "services/runtime/status.h"

namespace floe::retrieval {
namespace {

namespace pb = inference::v1;

// Of one call: a worker may have to load the checkpoint first.
constexpr absl::Duration kCallTime = absl::Minutes(2);

bool AnotherMayDo(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status);
}

}  // namespace

Workers::Workers(const std::vector<std::shared_ptr<grpc::Channel>>& channels) {
  for (const auto& channel : channels) stubs_.push_back(pb::InferenceService::NewStub(channel));
}

absl::Status Workers::Try(const Caller& caller,
                          const std::function<absl::Status(Stub&, grpc::ClientContext&)>& call) {
  absl::Status status =
      absl::UnavailableError("there is no worker; give floe-retrieval --workers host:port");
  const auto round = [&] {
    const size_t first = turn_.fetch_add(1);
    for (size_t i = 0; i < stubs_.size(); ++i) {
      grpc::ClientContext context;
      runtime::PrepareCall(context, OutgoingFor(caller, kCallTime));
      status = call(*stubs_[(first + i) % stubs_.size()], context);
      if (!AnotherMayDo(status)) break;
    }
    // RetryIdempotent goes on after UNAVAILABLE: a full worker is tried again like an absent one.
    return AnotherMayDo(status) ? absl::UnavailableError("again") : absl::OkStatus();
  };
  const absl::Time until = std::min(caller.deadline, absl::Now() + kCallTime);
  runtime::RetryIdempotent({.max_attempts = 2}, until, round).IgnoreError();
  if (!AnotherMayDo(status)) return status;
  return WithReason(
      absl::Status(status.code(), absl::StrCat("no worker computes: ", status.message())),
      "WORKERS_UNAVAILABLE");
}

absl::StatusOr<std::vector<std::vector<float>>> Workers::Embed(
    const Caller& caller, const std::string& digest,
    const std::vector<std::vector<tokenizer::TokenId>>& sequences) {
  pb::EmbedRequest request;
  request.set_checkpoint_digest(digest);
  for (const auto& ids : sequences) {
    request.add_sequences()->mutable_ids()->Add(ids.begin(), ids.end());
  }
  pb::EmbedResponse response;
  FLOE_RETURN_IF_ERROR(Try(caller, [&](Stub& stub, grpc::ClientContext& context) {
    response.Clear();
    return runtime::FromGrpcStatus(stub.Embed(&context, request, &response));
  }));
  std::vector<std::vector<float>> vectors;
  for (const auto& embedding : response.embeddings()) {
    vectors.emplace_back(embedding.values().begin(), embedding.values().end());
    if (vectors.back().empty()) return absl::InternalError("a worker gave an empty embedding");
  }
  if (vectors.size() != sequences.size()) {
    return absl::InternalError(absl::StrCat("a worker gave ", vectors.size(), " embeddings for ",
                                            sequences.size(), " sequences"));
  }
  return vectors;
}

absl::StatusOr<std::vector<double>> Workers::Score(const Caller& caller, const std::string& digest,
                                                   const std::vector<ScoredSequence>& sequences) {
  pb::ScoreRequest request;
  request.set_checkpoint_digest(digest);
  for (const ScoredSequence& sequence : sequences) {
    auto& added = *request.add_sequences();
    added.mutable_ids()->Add(sequence.ids.begin(), sequence.ids.end());
    added.set_score_from(sequence.score_from);
  }
  pb::ScoreResponse response;
  FLOE_RETURN_IF_ERROR(Try(caller, [&](Stub& stub, grpc::ClientContext& context) {
    response.Clear();
    return runtime::FromGrpcStatus(stub.Score(&context, request, &response));
  }));
  if (response.scores_size() != static_cast<int>(sequences.size())) {
    return absl::InternalError("a worker gave another number of scores than of sequences");
  }
  std::vector<double> sums;
  for (const auto& scores : response.scores()) {
    double sum = 0;
    for (const float value : scores.log_probabilities()) sum += value;
    sums.push_back(sum);
  }
  return sums;
}

}  // namespace floe::retrieval
