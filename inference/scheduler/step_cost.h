// What a step takes, learned from the steps so far: seconds = fixed + per_token · tokens.
//
// Least squares with exponentially fading weights. While steps are all alike they say little about
// the slope, which then stays what it was. Decides how work is cut into steps, never what comes
// out.
#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace floe::inference {

// A value; not thread-safe.
class StepCost {
 public:
  // A step of that many tokens over all its parts, at least one.
  void Observe(int64_t tokens, absl::Duration took);

  // Zero before the first observation.
  absl::Duration Time(int64_t tokens) const;
  // The same for work that is cut into `steps` steps.
  absl::Duration Time(double tokens, double steps) const;
  // Most tokens of a step that takes no longer than `limit`; 0 when every step does, INT64_MAX when
  // nothing speaks against any.
  int64_t Tokens(absl::Duration limit) const;

 private:
  double steps_ = 0;  // observed, up to where the weights begin to fade
  double mean_tokens_ = 0;
  double mean_seconds_ = 0;
  double variance_ = 0;    // of tokens
  double covariance_ = 0;  // of tokens and seconds
  double per_token_ = 0;   // seconds
};

// Prompt tokens of a step beside `decoders` sequences whose tightest target for the time per token
// is `tightest`: so many that the step stays inside it, at most `most`. Where even that is too much
// prompts still move on, by a KV block a step.
int64_t PrefillTokens(const StepCost& cost, int64_t decoders, absl::Duration tightest,
                      int64_t most);

}  // namespace floe::inference
