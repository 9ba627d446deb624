// What a request wants its answer to look like, compiled for the model that answers.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "floe/inference/v1/inference.pb.h"
#include "inference/sampling/token_constraint.h"
#include "services/inference/served_model.h"

namespace floe::inference {

inline constexpr char kInvalidConstraint[] = "INVALID_CONSTRAINT";

// The request's constraint, which it has, before its first new id. INVALID_ARGUMENT with the reason
// INVALID_CONSTRAINT says what is wrong with it.
absl::StatusOr<std::unique_ptr<TokenConstraint>> ConstraintFromProto(
    const v1::GenerateRequest& request, const ServedModel& model);

}  // namespace floe::inference
