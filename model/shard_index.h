// model.safetensors.index.json, which says in which file each tensor lies:
//
//   {"metadata": {...}, "weight_map": {"model.norm.weight": "model-00002-of-00002.safetensors"}}
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace floe::model {

// The file of every tensor, by the tensor's name; at least one. Files come from anyone, so each is
// a plain name of a *.safetensors file: nothing outside of the folder is opened for it.
// INVALID_ARGUMENT says what is wrong. Pure.
absl::StatusOr<std::map<std::string, std::string>> ParseShardIndex(std::string_view json);

}  // namespace floe::model
