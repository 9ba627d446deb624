// The text of a safetensors header, member by member; what it says of the data behind it is checked
// by safetensors.cc.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "model/safetensors.h"

namespace floe::model {

inline constexpr char kMetadataMember[] = "__metadata__";

// Of one tensor; all are there in what ReadHeaderText gives.
struct HeaderEntry {
  std::optional<DType> dtype;
  std::optional<std::vector<int64_t>> shape;    // none below 0
  std::optional<std::vector<int64_t>> offsets;  // begin and end
};

struct HeaderText {
  std::map<std::string, HeaderEntry> entries;
  std::map<std::string, std::string> metadata;
};

// INVALID_ARGUMENT says which member breaks which rule. Memory stays in proportion to the text.
absl::StatusOr<HeaderText> ReadHeaderText(std::string_view json);

// INVALID_ARGUMENT, said of the format.
absl::Status BadSafetensors(std::string_view what);

// A name from the file as a message shows it: short, on one line.
std::string ShownName(std::string_view name);

}  // namespace floe::model
