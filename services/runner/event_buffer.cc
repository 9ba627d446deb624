#include "services/runner/event_buffer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "tokenizer/unicode/utf8.h"

namespace floe::runner {
namespace {

using What = std::variant<jobs::Progress, jobs::LogLine, jobs::State>;

bool IsProgress(const jobs::Event& event) {
  return std::holds_alternative<jobs::Progress>(event.what);
}

}  // namespace

EventBuffer::EventBuffer(const Clock& clock, Options options)
    : clock_(clock), options_(std::move(options)), last_sequence_(options_.last_sequence) {}

void EventBuffer::Progress(jobs::Progress progress) { Add(std::move(progress)); }

void EventBuffer::Log(std::string_view level, std::string_view text) {
  std::string line(text.substr(0, options_.max_text));
  if (line.size() < text.size()) {
    line.resize(line.size() - tokenizer::IncompleteUtf8Tail(line));
    absl::StrAppend(&line, " [", text.size() - line.size(), " bytes cut]");
  }
  Add(jobs::LogLine{std::string(level), tokenizer::ReplaceInvalidUtf8(line)});
}

void EventBuffer::Used(int64_t tokens, double flops) {
  std::lock_guard lock(mutex_);
  tokens_ += tokens;
  flops_ += flops;
}

jobs::Usage EventBuffer::used() const {
  std::lock_guard lock(mutex_);
  return {tokens_, static_cast<int64_t>(flops_ * 1e-9), absl::ZeroDuration()};
}

void EventBuffer::Add(What what) {
  {
    std::lock_guard lock(mutex_);
    AddLocked(std::move(what));
  }
  if (options_.on_event) options_.on_event();
}

void EventBuffer::AddLocked(What what) {
  if (events_.size() >= options_.capacity) MakeRoom();
  if (events_.size() >= options_.capacity) {  // all of it is on its way
    lost_ += std::holds_alternative<jobs::LogLine>(what) ? 1 : 0;
    return;
  }
  events_.push_back({0, clock_.Now(), options_.attempt, std::move(what)});
}

void EventBuffer::MakeRoom() {
  const auto unsent = events_.begin() + static_cast<std::ptrdiff_t>(numbered_);
  if (unsent == events_.end()) return;
  const auto progress = std::find_if(unsent, events_.end(), IsProgress);
  if (progress == events_.end()) ++lost_;
  events_.erase(progress != events_.end() ? progress : unsent);
}

std::vector<jobs::Event> EventBuffer::Batch(size_t limit) {
  std::lock_guard lock(mutex_);
  const size_t count = std::min(limit, events_.size());
  for (; numbered_ < count; ++numbered_) events_[numbered_].sequence = ++last_sequence_;
  return {events_.begin(), events_.begin() + static_cast<std::ptrdiff_t>(count)};
}

void EventBuffer::Acknowledge(int64_t sequence) {
  std::lock_guard lock(mutex_);
  while (numbered_ > 0 && events_.front().sequence <= sequence) {
    events_.pop_front();
    --numbered_;
  }
  SayLost();
}

void EventBuffer::DropNumbered() {
  std::lock_guard lock(mutex_);
  if (numbered_ == 0) return;
  last_sequence_ = events_.front().sequence - 1;
  const auto end = events_.begin() + static_cast<std::ptrdiff_t>(numbered_);
  lost_ +=
      std::count_if(events_.begin(), end, [](const auto& event) { return !IsProgress(event); });
  events_.erase(events_.begin(), end);
  numbered_ = 0;
  SayLost();
}

void EventBuffer::SayLost() {
  if (lost_ == 0 || events_.size() >= options_.capacity) return;
  const std::string text =
      absl::StrCat(lost_, " log lines before this one were lost: the queue did not take them");
  lost_ = 0;
  AddLocked(jobs::LogLine{"warning", text});
}

size_t EventBuffer::waiting() const {
  std::lock_guard lock(mutex_);
  return events_.size();
}

}  // namespace floe::runner
