// Between floe.inference.v1 and the domain.
#pragma once

#include "absl/status/statusor.h"

#include "floe/inference/v1/inference.pb.h"
#include "inference/scheduler/request.h"
#include "services/inference/served_model.h"

namespace floe::inference {

// INVALID_ARGUMENT names the field. What the scheduler checks itself (lengths, ranges) is left to
// it.
absl::StatusOr<Request> RequestFromProto(const v1::GenerateRequest& request,
                                         const ServedModel& model);
absl::StatusOr<Request> RequestFromProto(const v1::ScoreRequest::Sequence& sequence);
// One sequence of the request.
absl::StatusOr<Request> EmbeddingFromProto(const v1::EmbedRequest& request, int index);

// Empty: default.
absl::StatusOr<ServiceTier> TierOf(const std::string& service_tier);

v1::GenerateResponse ToProto(const Event& event, const ServedModel& model);
v1::ScoreResponse::Scores ToProto(const std::vector<TokenScore>& scores);

}  // namespace floe::inference
