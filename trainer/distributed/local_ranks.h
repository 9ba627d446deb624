// The other ranks of a run on this machine: child processes, begun and ended by rank 0.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "trainer/distributed/rank_place.h"

namespace floe::trainer {

struct LocalRanksOptions {
  std::vector<std::string> argv;  // argv[0] is the path of the program; FLOE_ variables stay here
  RankPlace place;                // of rank 0, listening; the children are told theirs by variables
  std::filesystem::path logs;     // a folder: rank-<n>.log is what a rank said
};

// Movable. The destructor kills and reaps whatever still runs: nothing is lost by that, for rank 0
// alone writes. The kernel kills them too when the thread that started them ends.
class LocalRanks {
 public:
  LocalRanks() = default;  // none
  static absl::StatusOr<LocalRanks> Start(const LocalRanksOptions& options);
  LocalRanks(LocalRanks&& other) noexcept;
  LocalRanks& operator=(LocalRanks&& other) noexcept;
  ~LocalRanks();

  // UNAVAILABLE names the rank that has ended badly, how, and the last line that it said; OK while
  // none has.
  absl::Status Lost();
  // `status` when it is good; otherwise all are ended, and the reason says which rank ended first.
  absl::Status Explain(const absl::Status& status);

 private:
  struct Child {
    int rank = 0;
    pid_t pid = -1;  // -1 once it is reaped
  };
  void Kill();

  std::vector<Child> children_;
  std::filesystem::path logs_;
  absl::Status lost_;
};

// In a child: ends with its parent, also when that is killed. Does nothing in other processes.
void EndWithParentRank();

}  // namespace floe::trainer
