// The saved states of a run: the newest two in one folder, `state-<step>.floe`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "trainer/state_file.h"

namespace floe::trainer {

inline constexpr int kKeptStates = 2;

// One process works in a folder at a time. Not thread-safe.
class StateStore {
 public:
  // The folder is made if missing.
  static absl::StatusOr<StateStore> Open(const std::filesystem::path& folder);

  // Writes the state of position.step and then drops all but the newest two. On an error the
  // earlier states are still there.
  absl::Status Save(const TrainingPosition& position, const std::vector<StateTensor>& tensors);

  // The newest state that is whole, or nothing when none was saved. A damaged one is told to
  // `on_damage` and the one before it is taken; DATA_LOSS when states exist and none is whole.
  absl::StatusOr<std::optional<StateFile>> LoadNewest(
      const std::function<void(const absl::Status&)>& on_damage) const;

  // Steps of the states that are there, ascending.
  std::vector<int64_t> Steps() const;
  std::filesystem::path PathOf(int64_t step) const;

 private:
  explicit StateStore(std::filesystem::path folder) : folder_(std::move(folder)) {}
  std::filesystem::path folder_;
};

}  // namespace floe::trainer
