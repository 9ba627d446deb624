// The model as a picture: the way of a token through its blocks, each with its share of the
// parameters as a bar. Pure.
#pragma once

#include <string>

#include "model/accounting.h"
#include "model/blueprint.h"

namespace floe::cli {

// Lines of at most 100 columns, the last one ended. Without `utf8`, in ASCII.
std::string PlanDiagram(const model::Blueprint& blueprint, const model::ParameterCounts& counts,
                        bool utf8);

}  // namespace floe::cli
