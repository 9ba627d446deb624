#include "model/hardware.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/view.h"

namespace floe::model {
namespace {

constexpr int64_t kGb = 1'000'000'000;
constexpr int64_t kCent = 10'000;  // microdollars
constexpr double kTera = 1e12;
constexpr double kMostFlops = 1e24;
constexpr int64_t kMostMemory = int64_t{1} << 58;
constexpr int64_t kMostPrice = 1'000'000'000'000;  // a million dollars an hour

const std::vector<Hardware>& Presets() {
  // Training on these reaches 35 to 45 % of a GPU's peak in published runs (PaLM 46 %, Llama 3 38
  // to 43 %: arXiv:2204.02311, arXiv:2407.21783); small products on a CPU reach more of theirs.
  static const auto& presets = *new std::vector<Hardware>{
      {"cpu", "two cores of a server CPU, AVX2", 0.1 * kTera, 0.1 * kTera, 8 * kGb, 10 * kCent,
       0.6},
      {"l4", "NVIDIA L4", 30.3 * kTera, 121 * kTera, 24 * kGb, 70 * kCent, 0.4},
      {"rtx-4090", "NVIDIA GeForce RTX 4090", 82.6 * kTera, 165.2 * kTera, 24 * kGb, 40 * kCent,
       0.4},
      {"a100-80gb", "NVIDIA A100 SXM", 19.5 * kTera, 312 * kTera, 80 * kGb, 180 * kCent, 0.4},
      {"h100-80gb", "NVIDIA H100 SXM", 66.9 * kTera, 989.4 * kTera, 80 * kGb, 300 * kCent, 0.4},
      {"h200-141gb", "NVIDIA H200 SXM", 66.9 * kTera, 989.4 * kTera, 141 * kGb, 380 * kCent, 0.4},
      {"mi300x", "AMD Instinct MI300X", 163.4 * kTera, 1307.4 * kTera, 192 * kGb, 300 * kCent,
       0.35},
  };
  return presets;
}

}  // namespace

absl::Status Hardware::Validate() const {
  std::vector<std::string> mistakes;
  const auto peak = [&](const char* what, double value) {
    if (!(value > 0 && value <= kMostFlops)) {
      mistakes.push_back(
          absl::StrCat(what, " is ", value, " FLOP/s: must be above 0, and at most ", kMostFlops));
    }
  };
  peak("peak in f32", peak_f32);
  peak("peak in bf16", peak_bf16);
  if (memory_bytes <= 0 || memory_bytes > kMostMemory) {
    mistakes.push_back(
        absl::StrCat("memory is ", memory_bytes, " bytes: must be from 1 to ", kMostMemory));
  }
  if (price_microdollars_per_hour < 0 || price_microdollars_per_hour > kMostPrice) {
    mistakes.push_back(absl::StrCat("price is ", price_microdollars_per_hour,
                                    " microdollars an hour: must be from 0 to ", kMostPrice));
  }
  if (!(utilization > 0 && utilization <= 1)) {
    mistakes.push_back(
        absl::StrCat("utilization is ", utilization, ": must be above 0, and at most 1"));
  }
  if (mistakes.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("hardware ", name, ": ", absl::StrJoin(mistakes, "; ")));
}

std::vector<std::string_view> HardwareNames() {
  std::vector<std::string_view> names;
  for (const Hardware& hardware : Presets()) names.push_back(hardware.name);
  return names;
}

absl::StatusOr<Hardware> HardwarePreset(std::string_view name) {
  for (const Hardware& hardware : Presets()) {
    if (hardware.name == name) return hardware;
  }
  return absl::NotFoundError(absl::StrCat(
      "there is no hardware \"", AbslView(name.substr(0, 80)), "\"; there are ",
      absl::StrJoin(
          HardwareNames(), ", ",
          [](std::string* out, std::string_view text) { absl::StrAppend(out, AbslView(text)); }),
      "; a file (--hardware-file) describes any other"));
}

}  // namespace floe::model
