// The state of a training run in one file: all that is needed to go on as if it had never stopped.
//
//   "FLOESTA1"  u64 header length  header (JSON)  tensors (float32, in the header's order)
//   SHA-256 of everything before it, as 64 hexadecimal characters
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "base/files.h"
#include "trainer/state_header.h"

namespace floe::trainer {

// A borrowed tensor, or one that keeps what its values lie in.
struct StateTensor {
  std::string name;
  std::span<const float> values;
  // Shared by the copies of this, so that whichever lasts longest keeps the values.
  std::shared_ptr<const void> owner = nullptr;
};

// Writes a temporary file, fsyncs it, renames it over `path` and fsyncs the folder. On any error
// `path` is as before: RESOURCE_EXHAUSTED when the disk is full.
absl::Status WriteStateFile(const std::filesystem::path& path, const TrainingPosition& position,
                            const std::vector<StateTensor>& tensors);

// What a state file holds. Borrows its bytes.
struct StateView {
  TrainingPosition position;
  std::map<std::string, std::string_view> tensors;  // float32, as they lie in the file
};

// Of a whole file: a pure function. DATA_LOSS says what is wrong: length, checksum, header.
absl::StatusOr<StateView> ParseStateFile(std::string_view bytes);

// An opened and verified state. Owns the mapped file; immutable.
class StateFile {
 public:
  // DATA_LOSS as ParseStateFile says.
  static absl::StatusOr<StateFile> Open(const std::filesystem::path& path);

  const TrainingPosition& position() const { return view_.position; }
  // Copies the tensor to `to`; DATA_LOSS when it is missing or of another length.
  absl::Status Read(const std::string& name, std::span<float> to) const;

 private:
  std::filesystem::path path_;
  MappedFile file_;
  StateView view_;
};

}  // namespace floe::trainer
