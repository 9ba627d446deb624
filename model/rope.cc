#include "model/rope.h"

#include <cmath>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/view.h"

namespace floe::model {
namespace {

constexpr double kMostFactor = 1e6;

double Llama3(double frequency, const RopeScaling& scaling) {
  const auto context = static_cast<double>(scaling.original_max_position_embeddings);
  const double low = scaling.low_freq_factor, high = scaling.high_freq_factor;
  const double wavelength = 2 * std::numbers::pi / frequency;  // tokens a full turn
  if (wavelength < context / high) return frequency;
  if (wavelength > context / low) return frequency / scaling.factor;
  const double kept = (context / wavelength - low) / (high - low);
  return (1 - kept) * frequency / scaling.factor + kept * frequency;
}

}  // namespace

std::string_view RopeScalingName(RopeScalingKind kind) {
  switch (kind) {
    case RopeScalingKind::kNone:
      return "default";
    case RopeScalingKind::kLinear:
      return "linear";
    case RopeScalingKind::kLlama3:
      return "llama3";
  }
  return "unknown";
}

absl::StatusOr<RopeScalingKind> ParseRopeScaling(std::string_view name) {
  for (const RopeScalingKind kind :
       {RopeScalingKind::kNone, RopeScalingKind::kLinear, RopeScalingKind::kLlama3}) {
    if (name == RopeScalingName(kind)) return kind;
  }
  return absl::InvalidArgumentError(absl::StrCat("rope_type is \"", AbslView(name.substr(0, 80)),
                                                 "\": must be default, linear or llama3"));
}

std::vector<std::string> MistakesOf(const RopeScaling& scaling, int64_t context) {
  std::vector<std::string> mistakes;
  const auto wrong = [&](const char* dial, auto value, const std::string& must) {
    mistakes.push_back(absl::StrCat("rope_scaling.", dial, " is ", value, ": must be ", must));
  };
  if (scaling.kind == RopeScalingKind::kNone) return mistakes;
  if (!(scaling.factor >= 1 && scaling.factor <= kMostFactor)) {
    wrong("factor", scaling.factor, absl::StrCat("from 1 to ", kMostFactor));
  }
  if (scaling.kind == RopeScalingKind::kLinear) return mistakes;
  const double low = scaling.low_freq_factor, high = scaling.high_freq_factor;
  if (!(std::isfinite(low) && low > 0)) {
    wrong("low_freq_factor", low, "a finite number above 0");
  }
  if (!(std::isfinite(high) && high > low)) {
    wrong("high_freq_factor", high, absl::StrCat("a finite number above low_freq_factor, ", low));
  }
  const int64_t original = scaling.original_max_position_embeddings;
  if (original < 1 || original > context) {
    wrong("original_max_position_embeddings", original,
          absl::StrCat("from 1 to the context, ", context));
  }
  return mistakes;
}

std::string ShownRopeScaling(const RopeScaling& scaling) {
  std::vector<std::string> dials;
  VisitDials(scaling, [&](const char* name, auto value) {
    dials.push_back(absl::StrCat(name, " ", value));
  });
  const std::string name(RopeScalingName(scaling.kind));
  return dials.empty() ? name : absl::StrCat(name, " (", absl::StrJoin(dials, ", "), ")");
}

std::vector<double> RopeInverseFrequencies(int64_t head_dim, double theta,
                                           const RopeScaling& scaling) {
  std::vector<double> frequencies;
  for (int64_t i = 0; i < head_dim / 2; ++i) {
    const double exponent = static_cast<double>(2 * i) / static_cast<double>(head_dim);
    double frequency = 1.0 / std::pow(theta, exponent);
    if (scaling.kind == RopeScalingKind::kLinear) frequency /= scaling.factor;
    if (scaling.kind == RopeScalingKind::kLlama3) frequency = Llama3(frequency, scaling);
    frequencies.push_back(frequency);
  }
  return frequencies;
}

}  // namespace floe::model
