// What a request that was given to a scheduler comes to, and requests to give.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "inference/scheduler/request.h"

namespace floe::inference {

// Collects one request's events.
class Answer {
 public:
  EventSink sink() {
    return [this](Event event) {
      const std::lock_guard lock(mutex_);
      EXPECT_FALSE(finish_.has_value()) << "an event after the last one";
      ids_.insert(ids_.end(), event.ids.begin(), event.ids.end());
      text_ += event.text;
      logprobs_.insert(logprobs_.end(), event.logprobs.begin(), event.logprobs.end());
      for (const TokenLogProbabilities& one : event.prompt_logprobs) {
        EXPECT_TRUE(ids_.empty()) << "behind the first id";
        prompt_logprobs_.push_back(one);
      }
      if (!event.scores.empty()) scores_ = event.scores;
      if (!event.embedding.empty()) embedding_ = event.embedding;
      finish_ = event.finish;
      changed_.notify_all();
    };
  }
  Finish Wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return finish_.has_value(); });
    return *finish_;
  }
  bool finished() const {
    const std::lock_guard lock(mutex_);
    return finish_.has_value();
  }
  std::vector<int32_t> ids() const {
    const std::lock_guard lock(mutex_);
    return ids_;
  }
  std::string text() const {
    const std::lock_guard lock(mutex_);
    return text_;
  }
  const std::vector<TokenScore>& scores() const { return scores_; }
  const std::vector<float>& embedding() const { return embedding_; }
  const std::vector<TokenLogProbabilities>& logprobs() const { return logprobs_; }
  const std::vector<TokenLogProbabilities>& prompt_logprobs() const { return prompt_logprobs_; }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<int32_t> ids_;
  std::string text_;
  std::vector<TokenScore> scores_;
  std::vector<float> embedding_;
  std::vector<TokenLogProbabilities> logprobs_;
  std::vector<TokenLogProbabilities> prompt_logprobs_;
  std::optional<Finish> finish_;
};

// Id 65 is "A" and so on.
class LetterStream final : public TextStream {
 public:
  std::string Push(int32_t id) override { return std::string(1, static_cast<char>(id)); }
  std::string Flush() override { return {}; }
};

inline Request Ask(std::vector<int32_t> prompt, int64_t max_tokens) {
  Request request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  return request;
}

}  // namespace floe::inference
