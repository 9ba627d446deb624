#include "trainer/alignment/preference_loss.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "base/view.h"

namespace floe::trainer {
namespace {

double Sigmoid(double x) {
  if (x >= 0) return 1.0 / (1.0 + std::exp(-x));
  const double e = std::exp(x);
  return e / (1.0 + e);
}

double LogSigmoid(double x) { return std::min(x, 0.0) - std::log1p(std::exp(-std::abs(x))); }

}  // namespace

std::string_view PreferenceLossName(PreferenceLossKind kind) {
  switch (kind) {
    case PreferenceLossKind::kSigmoid:
      return "sigmoid";
    case PreferenceLossKind::kRobust:
      return "robust";
    case PreferenceLossKind::kIpo:
      return "ipo";
  }
  return "unknown";
}

absl::StatusOr<PreferenceLossKind> ParsePreferenceLoss(std::string_view name) {
  for (const auto kind :
       {PreferenceLossKind::kSigmoid, PreferenceLossKind::kRobust, PreferenceLossKind::kIpo}) {
    if (name == PreferenceLossName(kind)) return kind;
  }
  return absl::InvalidArgumentError(absl::StrCat("loss is \"", absl::CHexEscape(AbslView(name)),
                                                 "\"; known are sigmoid, robust, ipo"));
}

absl::Status Validate(const PreferenceLossOptions& options) {
  if (!(options.beta > 0) || !std::isfinite(options.beta)) {
    return absl::InvalidArgumentError(
        absl::StrCat("beta is ", options.beta, "; it must be a number above 0"));
  }
  if (options.kind != PreferenceLossKind::kRobust && options.label_smoothing != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("label_smoothing is ", options.label_smoothing, ", which the loss ",
                     AbslView(PreferenceLossName(options.kind)),
                     " does not know; set loss: robust, or leave it out"));
  }
  if (!(options.label_smoothing >= 0 && options.label_smoothing < 0.5)) {
    return absl::InvalidArgumentError(absl::StrCat("label_smoothing is ", options.label_smoothing,
                                                   "; it must be at least 0 and below 0.5"));
  }
  return absl::OkStatus();
}

PreferenceLoss ComputePreferenceLoss(const PreferenceLossOptions& options,
                                     const PairLogProbabilities& pair) {
  const double beta = options.beta;
  const double chosen = pair.policy_chosen - pair.reference_chosen;
  const double rejected = pair.policy_rejected - pair.reference_rejected;
  PreferenceLoss result;
  result.reward_chosen = beta * chosen;
  result.reward_rejected = beta * rejected;
  if (options.kind == PreferenceLossKind::kIpo) {
    const double per_chosen =
        options.length_normalized ? 1.0 / static_cast<double>(pair.chosen_tokens) : 1.0;
    const double per_rejected =
        options.length_normalized ? 1.0 / static_cast<double>(pair.rejected_tokens) : 1.0;
    const double distance = chosen * per_chosen - rejected * per_rejected - 1.0 / (2.0 * beta);
    result.loss = distance * distance;
    result.d_policy_chosen = 2.0 * distance * per_chosen;
    result.d_policy_rejected = -2.0 * distance * per_rejected;
    return result;
  }
  // sigmoid is robust with no label swapped.
  const double e = options.kind == PreferenceLossKind::kRobust ? options.label_smoothing : 0.0;
  const double x = beta * (chosen - rejected);
  const double scale = 1.0 / (1.0 - 2.0 * e);
  result.loss = (-(1.0 - e) * LogSigmoid(x) + e * LogSigmoid(-x)) * scale;
  const double slope = (-(1.0 - e) * Sigmoid(-x) - e * Sigmoid(x)) * beta * scale;
  result.d_policy_chosen = slope;
  result.d_policy_rejected = -slope;
  return result;
}

}  // namespace floe::trainer
