#include "trainer/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace floe::trainer {

double LearningRate(const TrainSettings& settings, int64_t step) {
  const double high = settings.learning_rate, low = settings.min_learning_rate;
  if (step < settings.warmup_steps) {
    return high * static_cast<double>(step + 1) / static_cast<double>(settings.warmup_steps);
  }
  const int64_t last = settings.steps - 1;
  const auto progress = [&](int64_t from) {
    if (last <= from) return 1.0;
    const double p = static_cast<double>(step - from) / static_cast<double>(last - from);
    return std::clamp(p, 0.0, 1.0);
  };
  if (settings.schedule == ScheduleKind::kCosine) {
    const double p = progress(settings.warmup_steps);
    return low + (high - low) * 0.5 * (1.0 + std::cos(std::numbers::pi * p));
  }
  const auto decay_steps =
      static_cast<int64_t>(settings.decay_fraction * static_cast<double>(settings.steps));
  const int64_t decay_from =
      std::max(settings.warmup_steps, settings.steps - std::max<int64_t>(1, decay_steps));
  if (step < decay_from) return high;
  return high + (low - high) * progress(decay_from - 1);
}

}  // namespace floe::trainer
