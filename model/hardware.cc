#include "model/hardware.h"

#include <cmath>

#include "absl/strings/ascii.h"
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

// A line of a data sheet. `device`: a word of what runners call it; drivers say "NVIDIA H100 80GB".
struct Sheet {
  const char *name, *description, *device;
  double tflops_f32, tflops_bf16;
  int64_t memory_gb, cents_per_hour;
  double utilization;
};

// Training reaches 35 to 45 % of a GPU's peak in published runs (PaLM 46 %, Llama 3 38 to 43 %:
// arXiv:2204.02311, arXiv:2407.21783); small products on a CPU reach more of theirs.
constexpr Sheet kSheets[] = {
    {"cpu", "two cores of a server CPU, AVX2", "cpu:", 0.1, 0.1, 8, 10, 0.6},
    {"l4", "NVIDIA L4", "L4", 30.3, 121, 24, 70, 0.4},
    {"rtx-4090", "NVIDIA GeForce RTX 4090", "RTX 4090", 82.6, 165.2, 24, 40, 0.4},
    {"a100-80gb", "NVIDIA A100 SXM", "A100", 19.5, 312, 80, 180, 0.4},
    {"h100-80gb", "NVIDIA H100 SXM", "H100", 66.9, 989.4, 80, 300, 0.4},
    {"h200-141gb", "NVIDIA H200 SXM", "H200", 66.9, 989.4, 141, 380, 0.4},
    {"mi300x", "AMD Instinct MI300X", "MI300X", 163.4, 1307.4, 192, 300, 0.4},
};

Hardware FromSheet(const Sheet& sheet) {
  return {.name = sheet.name,
          .description = sheet.description,
          .peak_f32 = sheet.tflops_f32 * kTera,
          .peak_bf16 = sheet.tflops_bf16 * kTera,
          .memory_bytes = sheet.memory_gb * kGb,
          .price_microdollars_per_hour = sheet.cents_per_hour * kCent,
          .device = sheet.device,
          .utilization = sheet.utilization};
}

}  // namespace

bool Hardware::Is(std::string_view device_name) const {
  if (device.empty()) return false;
  const std::string name = absl::AsciiStrToLower(AbslView(device_name));
  const std::string word = absl::AsciiStrToLower(device);
  const auto apart = [&](size_t first, size_t second) {  // no letter or digit goes on there
    return !absl::ascii_isalnum(static_cast<unsigned char>(name[first])) ||
           !absl::ascii_isalnum(static_cast<unsigned char>(name[second]));
  };
  for (size_t at = name.find(word); at != std::string::npos; at = name.find(word, at + 1)) {
    const size_t end = at + word.size();
    if ((at == 0 || apart(at - 1, at)) && (end == name.size() || apart(end - 1, end))) return true;
  }
  return false;
}

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
  for (const Sheet& sheet : kSheets) names.emplace_back(sheet.name);
  return names;
}

absl::StatusOr<Hardware> HardwarePreset(std::string_view name) {
  for (const Sheet& sheet : kSheets) {
    if (sheet.name == name) return FromSheet(sheet);
  }
  return absl::NotFoundError(absl::StrCat(
      "there is no hardware \"", AbslView(name.substr(0, 80)), "\"; there are ",
      absl::StrJoin(
          HardwareNames(), ", ",
          [](std::string* out, std::string_view text) { absl::StrAppend(out, AbslView(text)); }),
      "; a file (--hardware-file) describes any other"));
}

}  // namespace floe::model
