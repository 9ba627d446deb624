// What an answer must look like, as the sampler sees it: which ids may come next.
#pragma once

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "inference/sampling/sampler.h"

namespace floe::inference {

// A function of the ids accepted so far, and of nothing else: a stream that moves to another worker
// goes on where it was when its ids are accepted there again. Used by one thread at a time.
class TokenConstraint {
 public:
  virtual ~TokenConstraint() = default;

  // Works towards the next answer of Allowed, some 60 nanoseconds for each of `work`, and then says
  // whether Allowed has nothing left to do. Who calls it again and again comes to an end.
  virtual bool Prepare(int64_t work) = 0;
  // Bit id % 64 of word id / 64: whether id may come next; for every id of the vocabulary. Valid
  // until the next call. INVALID_ARGUMENT when the constraint asks for too much work.
  virtual absl::StatusOr<std::span<const uint64_t>> Allowed() = 0;
  // `id` came. INVALID_ARGUMENT when it was not allowed.
  virtual absl::Status Accept(int32_t id) = 0;
  // Nothing but an end of text can come.
  virtual bool complete() const = 0;
};

// Draws among the ids that are allowed, and tells the constraint. INTERNAL when the model gives
// none of them a number.
absl::StatusOr<int32_t> DrawAllowed(Sampler& sampler, std::span<const float> logits,
                                    const SamplingParams& params, int64_t position,
                                    TokenConstraint& constraint);

}  // namespace floe::inference
