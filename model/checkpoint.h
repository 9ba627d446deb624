// A checkpoint: a folder in Hugging Face's layout plus `floe.json`, the manifest that names it.
//
//   config.json  model.safetensors  tokenizer.json  tokenizer_config.json  generation_config.json
//   floe.json
//
// The manifest holds file digests, blueprint and parent digests, no times and no job ids, as
// canonical JSON (RFC 8785). The checkpoint's digest is the SHA-256 of the manifest's bytes.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "base/files.h"
#include "model/blueprint.h"
#include "model/quantization.h"
#include "model/safetensors.h"

namespace floe::model {

inline constexpr char kManifestFile[] = "floe.json";

// What the version was made from; digests are SHA-256 in hexadecimal, empty when there is none.
struct Parents {
  std::string checkpoint;  // the base that alignment started from
  std::string dataset;
  std::string tokenizer;
  bool operator==(const Parents&) const = default;
};

struct ManifestFileEntry {
  std::string digest;
  uint64_t size = 0;
  bool operator==(const ManifestFileEntry&) const = default;
};

struct Manifest {
  Blueprint blueprint;
  Parents parents;
  std::map<std::string, ManifestFileEntry> files;  // by name inside the folder, floe.json excepted
  WeightFormat weight_format = WeightFormat::kFloat;

  // The canonical bytes of floe.json.
  std::string Serialize() const;
  // SHA-256 of Serialize().
  std::string Digest() const;
  // Refuses unknown keys, bad digests and file names with a path in them.
  static absl::StatusOr<Manifest> Parse(std::string_view json);
};

// config.json in the form of the blueprint's family, with the keys that every serving stack reads.
// With 8-bit weights its `quantization_config` names a method of ours, so that stacks which do not
// know it refuse the folder instead of misreading it.
std::string ConfigJson(const Blueprint& blueprint,
                       WeightFormat weight_format = WeightFormat::kFloat);
// Reads the config.json of any of the four families, published ones included.
absl::StatusOr<Blueprint> ParseConfigJson(std::string_view json);

// An opened checkpoint. Owns the mapped weights; immutable; safe to read from many threads.
class Checkpoint {
 public:
  // Reads floe.json and maps model.safetensors. With `verify`, every file's SHA-256 is compared
  // with the manifest's: a difference is DATA_LOSS naming the file. Tensors must be exactly
  // StoredTensorsOf(blueprint, weight_format).
  static absl::StatusOr<Checkpoint> Open(const std::filesystem::path& folder, bool verify = true);

  const Blueprint& blueprint() const { return manifest_.blueprint; }
  const Manifest& manifest() const { return manifest_; }
  WeightFormat weight_format() const { return manifest_.weight_format; }
  const std::string& digest() const { return digest_; }
  const std::filesystem::path& folder() const { return folder_; }
  // Compares the SHA-256 of every file with the manifest's: a difference is DATA_LOSS naming the
  // file. The weights are those that this object reads, whatever has their name by now.
  absl::Status Verify() const;
  // UNAVAILABLE when somebody wrote to the weights since they were opened: what Verify saw, and
  // what was read of tensors before or after, need not be the same.
  absl::Status CheckUnchanged() const { return weights_.CheckUnchanged(); }
  // The bytes of a file other than the weights, compared with its digest: a difference is
  // DATA_LOSS. NOT_FOUND when the manifest lists none.
  absl::StatusOr<std::string> File(const std::string& name) const;
  // NOT_FOUND when there is no such tensor.
  absl::StatusOr<TensorView> Tensor(std::string_view name) const;
  // Copies `part` of a tensor's bytes to `to`. Where the file was cut short since it was opened
  // that is DATA_LOSS, and a look at the bytes would be the end of the process.
  absl::Status Read(std::string_view part, char* to) const { return weights_.Read(part, to); }
  // The elements of one of its tensors as 32-bit floats, out of a copy: DATA_LOSS as above.
  absl::StatusOr<std::vector<float>> Floats(const TensorView& view) const;

 private:
  std::filesystem::path folder_;
  Manifest manifest_;
  std::string digest_;
  MappedFile weights_;
  SafetensorsHeader header_;
};

// Writes a checkpoint folder: config.json and generation_config.json from the blueprint, the
// tensors, and `tokenizer_files` (name → bytes: tokenizer.json, tokenizer_config.json), then the
// manifest last. Returns the digest. The folder is written under a temporary name and renamed;
// `folder` must not exist.
struct CheckpointContents {
  Blueprint blueprint;
  Parents parents;
  std::vector<NamedTensor> tensors;  // StoredTensorsOf(blueprint, weight_format)
  std::map<std::string, std::string> tokenizer_files;
  WeightFormat weight_format = WeightFormat::kFloat;
};
absl::StatusOr<std::string> WriteCheckpoint(const std::filesystem::path& folder,
                                            const CheckpointContents& contents);

}  // namespace floe::model
