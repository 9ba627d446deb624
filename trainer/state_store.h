// The saved states of a run in one folder, `state-<step>.floe`: the newest, and what else is kept.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "trainer/state_file.h"

namespace floe::trainer {

struct Retention {
  int64_t last = 2;   // newest ones that stay
  int64_t every = 0;  // multiples of it stay; 0: none
  int64_t best = -1;  // the step of the one that is best; -1: none
  int64_t base = -1;  // the newest at or before it stays: what the run may go back to; -1: none
};

// The steps among `steps` (ascending) whose states go. Pure.
std::vector<int64_t> StepsToDrop(const std::vector<int64_t>& steps, const Retention& retention);

// One process works in a folder at a time. Not thread-safe.
class StateStore {
 public:
  // The folder is made if missing.
  static absl::StatusOr<StateStore> Open(const std::filesystem::path& folder);

  // Writes the state of position.step and then drops those that are not kept. On an error the
  // earlier states are still there.
  absl::Status Save(const TrainingPosition& position, const std::vector<StateTensor>& tensors,
                    const Retention& retention = {});

  // The newest state that is whole, of those up to step `last`, or nothing when none was saved. A
  // damaged one is told to `on_damage` and the one before it is taken; DATA_LOSS when states exist
  // and none is whole.
  absl::StatusOr<std::optional<StateFile>> LoadNewest(
      const std::function<void(const absl::Status&)>& on_damage,
      int64_t last = std::numeric_limits<int64_t>::max()) const;

  // Steps of the states that are there, ascending.
  std::vector<int64_t> Steps() const;
  std::filesystem::path PathOf(int64_t step) const;

 private:
  explicit StateStore(std::filesystem::path folder) : folder_(std::move(folder)) {}
  std::filesystem::path folder_;
};

}  // namespace floe::trainer
