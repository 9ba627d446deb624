// What guessing the next ids is worth to one sequence: decoding through the scheduler with guesses
// beside decoding without.
#pragma once

#include <filesystem>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

#include "bench/inference/workload.h"

namespace floe::bench {

// Rows of bench/README.md, their peer the same decoding without guesses. The ends of what there is:
// a draft model of a sixth of the layers that is always right and one that is not, and lookup in an
// answer that repeats itself and in one that does not, each beside the part of the guesses that
// stood.
absl::StatusOr<nlohmann::ordered_json> MeasureGuesses(const ServedModel& served,
                                                      const std::filesystem::path& scratch,
                                                      int threads, int rounds);

// The same for two trained checkpoints of one tokenizer, guesses of the second and of lookup for
// the first: the answers to prompts out of a text file, greedily and at a temperature.
absl::StatusOr<nlohmann::ordered_json> MeasureTrainedPair(const std::filesystem::path& target,
                                                          const std::filesystem::path& draft,
                                                          const std::filesystem::path& text,
                                                          int threads, int rounds);

}  // namespace floe::bench
