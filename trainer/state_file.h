// The state of a training run in one file: all that is needed to go on as if it had never stopped.
//
//   "FLOESTA1"  u64 header length  header (JSON)  tensors (float32, in the header's order)
//   SHA-256 of everything before it, as 64 hexadecimal characters
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "base/files.h"
#include "trainer/batch_source.h"

namespace floe::trainer {

// Everything but the tensors.
struct TrainingPosition {
  int64_t step = 0;  // optimizer steps done
  DataCursor cursor;
  int64_t tokens = 0;          // trained on so far
  int threads = 0;             // sums of floats follow the number of threads
  int processes = 1;           // and of processes
  std::string run;             // what the run is: blueprint, settings, data; see Pretrainer
  double last_loss = 0;        // of the last step
  double held_out = 0;         // the last held-out loss; 0: none yet
  double seconds = 0;          // spent training so far
  double best_held_out = 0;    // 0: none yet
  int64_t best_step = 0;       // where it was measured
  int64_t worse_in_a_row = 0;  // held-out losses since then
  double mean_loss = 0;        // of the recent steps
  int64_t rewinds = 0;         // so far
};

// A borrowed tensor.
struct StateTensor {
  std::string name;
  std::span<const float> values;
};

// Writes a temporary file, fsyncs it, renames it over `path` and fsyncs the folder. On any error
// `path` is as before: RESOURCE_EXHAUSTED when the disk is full.
absl::Status WriteStateFile(const std::filesystem::path& path, const TrainingPosition& position,
                            const std::vector<StateTensor>& tensors);

// An opened and verified state. Owns the mapped file; immutable.
class StateFile {
 public:
  // DATA_LOSS says what is wrong with the file: length, checksum, header.
  static absl::StatusOr<StateFile> Open(const std::filesystem::path& path);

  const TrainingPosition& position() const { return position_; }
  // Copies the tensor to `to`; DATA_LOSS when it is missing or of another length.
  absl::Status Read(const std::string& name, std::span<float> to) const;

 private:
  absl::Status ParseHeader(std::string_view header, std::string_view tensors);

  std::filesystem::path path_;
  MappedFile file_;
  TrainingPosition position_;
  std::map<std::string, std::string_view> tensors_;
};

}  // namespace floe::trainer
