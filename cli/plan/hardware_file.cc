#include "cli/plan/hardware_file.h"

#include <array>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "base/yaml/yaml_map.h"

namespace floe::cli {
namespace {

constexpr size_t kMaxFileBytes = 1 << 16;
constexpr double kTera = 1e12;
constexpr double kMicro = 1e6;
constexpr double kMostWhole = 9.0e18;  // below 2^63

struct Unit {
  absl::string_view suffix;
  double factor;
};

// A finite number at least 0, times the unit that it ends with.
absl::StatusOr<int64_t> ParseWithUnits(std::string_view text, absl::Span<const Unit> units,
                                       absl::string_view must) {
  absl::string_view number = absl::StripAsciiWhitespace(AbslView(text));
  double factor = 1;
  for (const Unit& unit : units) {
    if (!absl::EndsWithIgnoreCase(number, unit.suffix)) continue;
    number.remove_suffix(unit.suffix.size());
    factor = unit.factor;
    break;
  }
  double value = 0;
  if (!absl::SimpleAtod(absl::StripAsciiWhitespace(number), &value) || !std::isfinite(value) ||
      value < 0 || value * factor >= kMostWhole) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", AbslView(text.substr(0, 80)), "\" is no ", must));
  }
  return static_cast<int64_t>(std::llround(value * factor));
}

}  // namespace

absl::StatusOr<int64_t> ParseMemory(std::string_view text) {
  constexpr std::array<Unit, 6> kUnits = {{{"MiB", 1024.0 * 1024},
                                           {"GiB", 1024.0 * 1024 * 1024},
                                           {"TiB", 1024.0 * 1024 * 1024 * 1024},
                                           {"MB", 1e6},
                                           {"GB", 1e9},
                                           {"TB", 1e12}}};
  return ParseWithUnits(text, kUnits, "memory: write 80GB, 24GiB or a number of bytes");
}

absl::StatusOr<int64_t> ParseQuantity(std::string_view text) {
  constexpr std::array<Unit, 4> kUnits = {{{"k", 1e3}, {"M", 1e6}, {"B", 1e9}, {"T", 1e12}}};
  return ParseWithUnits(text, kUnits, "count: write 7000000000, 7e9 or 7B");
}

absl::StatusOr<int64_t> ParseDollars(std::string_view text) {
  constexpr std::array<Unit, 1> kUnits = {{{"", kMicro}}};
  return ParseWithUnits(StdView(absl::StripPrefix(AbslView(text), "$")), kUnits,
                        "price: write dollars, such as 2.49");
}

absl::StatusOr<model::Hardware> ParseHardware(std::string_view text) {
  model::Hardware hardware;
  hardware.utilization = 0;
  std::string like, price;
  double peak_f32 = 0, peak_bf16 = 0, memory_gb = 0;
  FLOE_RETURN_IF_ERROR(ReadYaml(text, kMaxFileBytes, [&](const YAML::Node& root) -> absl::Status {
    YamlMap map("hardware", root);
    map.Read("like", like);
    map.Read("name", hardware.name);
    map.Read("description", hardware.description);
    map.Read("device", hardware.device);
    map.Read("peak_tflops_f32", peak_f32, {.least = 0, .most = 1e9, .above_least = true});
    map.Read("peak_tflops_bf16", peak_bf16, {.least = 0, .most = 1e9, .above_least = true});
    map.Read("memory_gb", memory_gb, {.least = 0, .most = 1e8, .above_least = true});
    map.Read("price_per_hour", price);
    map.Read("utilization", hardware.utilization, {.least = 0, .most = 1, .above_least = true});
    return map.Finish();
  }));
  if (!like.empty()) {
    FLOE_ASSIGN_OR_RETURN(model::Hardware preset, model::HardwarePreset(like));
    if (!hardware.name.empty()) preset.name = std::move(hardware.name);
    if (!hardware.description.empty()) preset.description = std::move(hardware.description);
    if (!hardware.device.empty()) preset.device = std::move(hardware.device);
    if (hardware.utilization > 0) preset.utilization = hardware.utilization;
    hardware = std::move(preset);
  }
  if (hardware.name.empty()) hardware.name = "unnamed";
  if (peak_f32 > 0) hardware.peak_f32 = peak_f32 * kTera;
  if (peak_bf16 > 0) hardware.peak_bf16 = peak_bf16 * kTera;
  if (memory_gb > 0) hardware.memory_bytes = std::llround(memory_gb * 1e9);
  if (!price.empty()) {
    FLOE_ASSIGN_OR_RETURN(hardware.price_microdollars_per_hour, ParseDollars(price));
  }
  FLOE_RETURN_IF_ERROR(hardware.Validate());
  return hardware;
}

}  // namespace floe::cli
