// The reference model's log-probabilities of every pair, computed once a job and kept in its
// folder: an attempt that goes on finds them, and the reference model is not held in memory beside
// the policy.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace floe::trainer {

// By pair, summed over the answer's tokens.
struct ReferenceLogProbabilities {
  std::vector<double> chosen;
  std::vector<double> rejected;
  bool operator==(const ReferenceLogProbabilities&) const = default;
};

// `key` names what they were computed from: base, data, settings. Durable when it returns OK.
absl::Status WriteReference(const std::filesystem::path& path, const std::string& key,
                            const ReferenceLogProbabilities& values);

// Nothing when there is no file, or one of another key, number of pairs or form: they are computed
// again. Other errors of reading are returned.
absl::StatusOr<std::optional<ReferenceLogProbabilities>> ReadReference(
    const std::filesystem::path& path, const std::string& key, size_t pairs);

}  // namespace floe::trainer
