// A plan for people.
#pragma once

#include <span>
#include <string>

#include "cli/plan/throughput.h"

#include "model/plan.h"

namespace floe::cli {

// The diagram; parameters a component with shares, and what the other FFN would make of them; work,
// time and money; memory to train and to serve; the largest models that fit. Lines of at most 100
// columns, the last one ended.
std::string PlanTable(const model::Plan& plan, const Throughput& throughput, bool utf8);

// The candidates of a wanted size, best first.
std::string NearestTable(std::span<const model::Blueprint> nearest, int64_t wanted);

}  // namespace floe::cli
