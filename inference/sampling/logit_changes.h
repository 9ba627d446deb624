// Biases and penalties: what a request and the ids so far make of the model's logits, before
// temperature and filters.
//
// For a logit z of an id that stands c times in the answer, in the order of vLLM and llama.cpp:
//   bias         z += logit_bias                                (OpenAI's API reference)
//   repetition   z = z > 0 ? z / r : z * r, in prompt or answer (Keskar et al. 2019, "CTRL", 4.1)
//   frequency    z -= f * c                                     (OpenAI's API reference)
//   presence     z -= p, if c > 0                               (the same)
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"

#include "inference/sampling/sampler.h"

namespace floe::inference {

// One a sequence; not thread-safe. What it knows is a function of the parameters and the ids, so a
// sequence that moves or is recomputed has the same changes.
class LogitChanges {
 public:
  LogitChanges(const SamplingParams& params, std::span<const int32_t> prompt,
               std::span<const int32_t> answer);

  // The answer goes on with `id`.
  void Push(int32_t id);

  // The changed logits: in `scratch`, or `logits` itself when nothing changes them. Ids beyond the
  // logits are left out.
  std::span<const float> Apply(std::span<const float> logits, std::vector<float>& scratch) const;

 private:
  struct Change {
    float bias = 0;
    int64_t count = 0;  // in the answer
    bool seen = false;  // in prompt or answer
  };

  const float repetition_;
  const float frequency_;
  const float presence_;
  absl::flat_hash_map<int32_t, Change> changes_;  // by id; those without effect are not there
};

}  // namespace floe::inference
