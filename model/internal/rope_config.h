// RoPE in config.json: rope_theta, and how frequencies are scaled. transformers 5 has both in
// `rope_parameters`; older ones have `rope_theta` beside `rope_scaling`, whose oldest form calls
// rope_type `type`.
#pragma once

#include "nlohmann/json.hpp"

#include "model/blueprint.h"
#include "model/internal/config_reader.h"

namespace floe::model {

// Both spellings, so that every reader finds its own.
void WriteRope(const Blueprint& blueprint, nlohmann::ordered_json& config);

// Either spelling, into rope_theta and rope_scaling; where a file has both, they must agree. What
// is not computed here is a mistake that names it.
void ReadRope(ConfigReader& reader, Blueprint& blueprint);

}  // namespace floe::model
