// JSON as a template's value: objects keep their order, texts and keys come from `origin`.
#pragma once

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

#include "tokenizer/jinja/value.h"

namespace floe::tokenizer::jinja {

// INVALID_ARGUMENT for what nests deeper than values may, RESOURCE_EXHAUSTED as `budget` says.
absl::StatusOr<Value> FromJson(const nlohmann::ordered_json& json, Origin origin, Budget& budget);

}  // namespace floe::tokenizer::jinja
