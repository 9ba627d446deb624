#include "model/training_run.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "model/accounting.h"

namespace floe::model {
namespace {

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr double kSecondsPerHour = 3600;

}  // namespace

int64_t ComputeOptimalTokens(const Blueprint& blueprint) {
  const int64_t parameters = CountParameters(blueprint).Total();
  return parameters > kMost / kTokensPerParameter ? kMost : kTokensPerParameter * parameters;
}

TrainingWork WorkOf(const Blueprint& b, int64_t tokens, int64_t sequence_length,
                    bool activation_checkpointing) {
  const double d = static_cast<double>(tokens);
  const double forward = static_cast<double>(ForwardFlopsPerToken(b, (sequence_length + 1) / 2));
  TrainingWork work;
  work.rule_of_thumb = 6 * static_cast<double>(CountParameters(b).Total()) * d;
  work.exact = 3 * forward * d;
  work.executed = work.exact + (activation_checkpointing ? forward * d : 0);
  return work;
}

TrainingTime TimeOf(const TrainingWork& work, int64_t tokens, int64_t devices,
                    double flops_per_second_per_device, int64_t price_microdollars_per_hour) {
  TrainingTime time;
  time.flops_per_second = flops_per_second_per_device * static_cast<double>(devices);
  time.seconds = work.executed / time.flops_per_second;
  time.tokens_per_second = static_cast<double>(tokens) / time.seconds;
  const double device_seconds = std::ceil(time.seconds * static_cast<double>(devices));
  time.device_hours = device_seconds / kSecondsPerHour;
  // Whole numbers from here on: what is shown can be checked by hand.
  if (device_seconds >= static_cast<double>(kMost)) {
    time.microdollars = price_microdollars_per_hour > 0 ? kMost : 0;
    return time;
  }
  const __int128 due =
      (static_cast<__int128>(device_seconds) * price_microdollars_per_hour + 3599) / 3600;
  time.microdollars = static_cast<int64_t>(std::min<__int128>(due, kMost));
  return time;
}

}  // namespace floe::model
