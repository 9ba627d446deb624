// Numbers as people read them. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace floe::cli {

std::string HumanBytes(int64_t bytes);       // 812 B, 9.8 MiB
std::string HumanCount(int64_t count);       // 1,234,567
std::string HumanQuantity(double quantity);  // 12.3k, 4.10M, 6.74B
std::string HumanFlops(double operations);   // 12.34 TFLOP
std::string HumanDuration(
    absl::Duration duration);  // 850 ms, 12 s, 3 min 05 s, 2 h 10 min, 4 d 3 h
std::string HumanTime(absl::Time time, absl::TimeZone zone);  // 2026-11-24 07:13:05; "-" when unset
std::string ShortDigest(std::string_view digest);  // the first 12 characters; "-" if empty
// The last id of a resource name: teams/nlp/models/hamlet is hamlet.
std::string LastId(std::string_view resource_name);

}  // namespace floe::cli
