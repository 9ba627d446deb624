// Where a process stands among those that train one model together, from its environment. Pure.
//
//   RANK, or JOB_COMPLETION_INDEX of a Kubernetes Indexed Job   this process, from 0
//   WORLD_SIZE                                                  how many there are
//   MASTER_ADDR, MASTER_PORT                                    where rank 0 listens
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace floe::trainer {

struct RankPlace {
  int rank = 0;
  int size = 1;
  std::string address = "127.0.0.1";  // of rank 0
  uint16_t port = 0;                  // of rank 0; 0 with rank 0: any free one
};

inline constexpr int kMaxRanks = 1024;

// One process when neither WORLD_SIZE nor RANK is set. INVALID_ARGUMENT names the variable that is
// missing or wrong. `variable` gives a variable's value, or nothing when it is not set.
absl::StatusOr<RankPlace> ReadRankPlace(
    const std::function<std::optional<std::string>(const std::string&)>& variable);

// The same of this process's environment.
absl::StatusOr<RankPlace> RankPlaceOfEnvironment();

}  // namespace floe::trainer
