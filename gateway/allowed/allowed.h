// What may be asked for, as policies and keys write it down: models by patterns, service tiers by
// name. Pure.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

namespace floe::gateway {

inline constexpr std::array<std::string_view, 3> kTierNames = {"flex", "default", "priority"};

bool IsTierName(std::string_view name);

// Whether one of `patterns` is `reference` (`hamlet`, `hamlet@canary`); `*` at the end of a pattern
// stands for anything.
bool MatchesModel(std::span<const std::string> patterns, std::string_view reference);

}  // namespace floe::gateway
