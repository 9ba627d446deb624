// The models that floe-bench-inference serves, and the kinds of work that they are timed at.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "inference/engine/engine.h"
#include "model/blueprint.h"

namespace floe::bench {

inline constexpr int kPrefillTokens = 512;  // of one prompt, in one step
inline constexpr int kBatch = 16;           // sequences decoded together
inline constexpr int kBatchPrompt = 128;    // tokens that each of them holds before
inline constexpr int kDecodeSteps = 64;

struct ServedModel {
  std::string name;
  model::Blueprint blueprint;
};

// Llama-shaped: 135 million parameters, which no cache holds, and 15 million.
std::vector<ServedModel> ServedModels();

struct RandomWeights {
  uint32_t seed = 1;
  int64_t silent_from = INT64_MAX;  // layers from here on add nothing to what passes them
};
// A checkpoint with random weights, the same on every run; models of one seed that differ in their
// number of layers alone have the first layers in common.
absl::Status WriteRandomCheckpoint(const model::Blueprint& blueprint,
                                   const std::filesystem::path& folder,
                                   const RandomWeights& weights = {});

// Token `position` of the prompt of sequence `sequence`.
int32_t PromptToken(const model::Blueprint& blueprint, int sequence, int position);

// Seconds for one prompt of kPrefillTokens.
absl::StatusOr<double> PrefillSeconds(inference::Engine& engine);

// Seconds of kDecodeSteps steps of `sequences` that hold `prompt` tokens each, at least 1. Logits
// are computed and nothing is drawn from them, as in llama.cpp's benchmarks.
absl::StatusOr<double> DecodeSeconds(inference::Engine& engine, int sequences, int prompt);

// Now, on a clock that only moves forward.
double Seconds();

}  // namespace floe::bench
