// Blueprints of published models, by the names that `floe plan --preset` takes. The dials are those
// of each model's config.json.
#pragma once

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "model/blueprint.h"

namespace floe::model {

std::vector<std::string_view> PresetNames();

// NOT_FOUND lists the names that there are.
absl::StatusOr<Blueprint> Preset(std::string_view name);

}  // namespace floe::model
