// Published checkpoints as they come: a Hugging Face folder without floe.json, its weights in one
// safetensors file or in shards, in F32, F16 or BF16.
//
//   config.json
//   model.safetensors, or model.safetensors.index.json {metadata, weight_map: {tensor: file}}
//   tokenizer.json, tokenizer_config.json
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "base/files.h"
#include "model/blueprint.h"
#include "model/checkpoint.h"
#include "model/safetensors.h"

namespace floe::model {

// Owns the mapped files. Movable; immutable; thread-safe to read.
class HuggingFaceFolder {
 public:
  // Everything is checked: what config.json asks for and is not computed here is refused by name;
  // shards must be there, lie in the folder, and hold exactly what the index says. Tensors get the
  // names of model::TensorsOf; those that carry nothing (GPT-2's masks, stored frequencies, a head
  // that equals the embedding it is tied to) are left out.
  //
  // NOT_FOUND names a file that is missing; INVALID_ARGUMENT what is wrong in which file;
  // UNIMPLEMENTED for weights that are pickled; DATA_LOSS names a tensor with a number that is not
  // finite.
  static absl::StatusOr<HuggingFaceFolder> Open(const std::filesystem::path& folder);

  const Blueprint& blueprint() const { return blueprint_; }
  // Borrow this object. Exactly those of the blueprint.
  const std::vector<NamedTensor>& tensors() const { return tensors_; }
  // tokenizer.json and tokenizer_config.json, those that are there.
  const std::map<std::string, std::string>& tokenizer_files() const { return tokenizer_files_; }
  const std::vector<std::string>& left_out() const { return left_out_; }

 private:
  using ByName = std::map<std::string, TensorView>;

  absl::Status ReadWeights(const std::filesystem::path& folder);
  absl::Status ReadShards(const std::filesystem::path& folder, ByName& found);
  absl::StatusOr<SafetensorsHeader> OpenWeights(const std::filesystem::path& path);
  absl::Status Take(ByName found);

  Blueprint blueprint_;
  std::vector<MappedFile> files_;
  std::vector<NamedTensor> tensors_;
  std::map<std::string, std::string> tokenizer_files_;
  std::vector<std::string> left_out_;
};

// Whether transformers reads a checkpoint's folder as it is meant. UNIMPLEMENTED names what it does
// not: a plain FFN outside gpt2 (it fills the missing gate_proj with random numbers, and warns),
// and weights in 8 bits (it skips the method that it does not know, and fails later).
absl::Status CheckOthersRead(const Manifest& manifest);

}  // namespace floe::model
