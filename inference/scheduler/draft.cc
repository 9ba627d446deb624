#include "inference/scheduler/draft.h"

#include <algorithm>

namespace floe::inference {
namespace {

constexpr int64_t kLongestRun = 4;
constexpr int64_t kShortestRun = 2;
// How far back is looked: bounds the time of a step.
constexpr int64_t kWindow = 4096;
constexpr int64_t kLongestPause = 32;
constexpr int64_t kMostAtOnce = 64;

}  // namespace

std::span<const int32_t> LookUpDraft(std::span<const int32_t> tokens, int64_t most) {
  const auto size = static_cast<int64_t>(tokens.size());
  int64_t best_run = kShortestRun - 1;
  int64_t best_end = 0;  // behind the run that was found
  for (int64_t end = size - 1; end > std::max<int64_t>(0, size - kWindow); --end) {
    int64_t run = 0;
    while (run < kLongestRun && run < end && tokens[end - 1 - run] == tokens[size - 1 - run]) ++run;
    if (run <= best_run) continue;
    best_run = run;
    best_end = end;
    if (run == kLongestRun) break;
  }
  if (best_end == 0 || most < 1) return {};
  return tokens.subspan(best_end, std::min(most, size - best_end));
}

int64_t DraftPace::Next(int64_t most) {
  if (pause_ > 0) {
    --pause_;
    return 0;
  }
  return std::min(length_, most);
}

void DraftPace::Note(int64_t drafted, int64_t accepted) {
  if (accepted == 0) {
    pause_ = next_pause_;
    next_pause_ = std::min(kLongestPause, 2 * next_pause_);
    length_ = 1;
    return;
  }
  next_pause_ = 1;
  length_ = accepted == drafted ? 2 * std::max(length_, drafted) : accepted + 1;
  length_ = std::min(length_, kMostAtOnce);
}

}  // namespace floe::inference
