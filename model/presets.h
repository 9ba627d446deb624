// Blueprints by the names that `floe plan --preset` takes: of published models, whose dials are
// those of each model's config.json, and "classic", the dials of textbooks.
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
