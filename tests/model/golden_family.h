// A small checkpoint of a family as it is published, and what Hugging Face transformers says to it:
// tests/trainer/families, made by make_goldens.py there.
#pragma once

#include <filesystem>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

#include "base/files.h"
#include "base/status_macros.h"
#include "model/checkpoint.h"
#include "model/hugging_face_folder.h"

namespace floe::model {

struct GoldenFamily {
  Checkpoint checkpoint;                                // imported as anybody's is
  std::vector<std::vector<int64_t>> ids;                // [B][T]
  std::vector<std::vector<std::vector<float>>> logits;  // [B][T][V]
};

// Imports `published` to `folder`, which does not exist yet and must outlive the checkpoint.
inline absl::StatusOr<GoldenFamily> ImportGoldenFamily(const std::filesystem::path& published,
                                                       const std::filesystem::path& folder) {
  FLOE_ASSIGN_OR_RETURN(const HuggingFaceFolder source, HuggingFaceFolder::Open(published));
  FLOE_RETURN_IF_ERROR(
      WriteCheckpoint(folder, {.blueprint = source.blueprint(), .tensors = source.tensors()})
          .status());
  FLOE_ASSIGN_OR_RETURN(Checkpoint checkpoint, Checkpoint::Open(folder));
  FLOE_ASSIGN_OR_RETURN(const std::string golden, ReadFile(published / "golden.json"));
  const auto json = nlohmann::json::parse(golden);
  GoldenFamily family{.checkpoint = std::move(checkpoint), .ids = {}, .logits = {}};
  json.at("ids").get_to(family.ids);
  json.at("logits").get_to(family.logits);
  return family;
}

}  // namespace floe::model
