// Used by json_schema.cc and schema_reader.cc: JSON whose members keep their order.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace floe::inference::grammar {

using Json = nlohmann::ordered_json;

// INVALID_ARGUMENT for what is no JSON or nests deeper than 100 levels: reading and freeing it are
// recursions.
inline absl::StatusOr<Json> ParseBoundedJson(std::string_view text) {
  constexpr int kMaxDepth = 100;
  bool too_deep = false;
  const auto watch = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kMaxDepth;
    return !too_deep;
  };
  Json value = Json::parse(text, watch, /*allow_exceptions=*/false);
  if (too_deep) return absl::InvalidArgumentError("the schema nests deeper than 100 levels");
  if (value.is_discarded()) return absl::InvalidArgumentError("the schema is not valid JSON");
  return value;
}

}  // namespace floe::inference::grammar
