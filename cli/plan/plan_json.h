// A plan for programs.
#pragma once

#include <span>

#include "cli/plan/throughput.h"
#include <nlohmann/json.hpp>

#include "model/plan.h"

namespace floe::cli {

// One object: blueprint, parameters {total, embeddings, …, shares, other_ffn}, flops_per_token,
// training {tokens, flops, time, money, throughput}, memory, kv_bytes_per_token, hardware, largest.
// Sizes in bytes, times in seconds, money in microdollars. `nearest`: the candidates of a wanted
// size, best first; the plan is that of the first.
nlohmann::ordered_json PlanJson(const model::Plan& plan, const Throughput& throughput,
                                std::span<const model::Blueprint> nearest = {});

}  // namespace floe::cli
