#include "inference/scheduler/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace floe::inference {

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
}

std::string StopMatcher::Push(std::string_view piece) {
  if (matched_) return {};
  if (stops_.empty()) return std::string(piece);
  for (const char c : piece) {
    held_ += c;
    size_t longest = 0;
    for (const std::string& stop : stops_) {
      if (held_.ends_with(stop)) longest = std::max(longest, stop.size());
    }
    if (longest > 0) {
      matched_ = true;
      held_.resize(held_.size() - longest);
      return std::move(held_);
    }
  }
  const size_t open = OpenSuffix();
  std::string out = held_.substr(0, held_.size() - open);
  held_.erase(0, held_.size() - open);
  return out;
}

std::string StopMatcher::Flush() { return matched_ ? std::string() : std::exchange(held_, {}); }

size_t StopMatcher::OpenSuffix() const {
  size_t open = 0;
  for (const std::string& stop : stops_) {
    for (size_t n = std::min(held_.size(), stop.size() - 1); n > open; --n) {
      if (held_.ends_with(std::string_view(stop).substr(0, n))) open = n;
    }
  }
  return open;
}

}  // namespace floe::inference
