// An engine whose next token is the last one plus a stride, 1 unless told, with a real KV cache and
// steps that a test lets through one by one. The hidden state of a token t is (t, 1, t^2, -t).
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "inference/engine/engine.h"
#include "inference/engine/kv_cache.h"

namespace floe::inference {

// What a test sees of the engine and says to it; outlives both. Thread-safe.
class StepGate {
 public:
  // Lets `n` more steps through.
  void Allow(int64_t n);
  void AllowAll() { Allow(int64_t{1} << 40); }
  // The next step that is let through throws std::bad_alloc in place of its logits.
  void ThrowOnce();
  // Waits until `n` steps have been asked for in all (the last of them may still be held up).
  void WaitForStep(int64_t n);
  // Tokens of each part of every step so far, in order.
  std::vector<std::vector<int64_t>> parts() const;

  void Enter(std::vector<int64_t> parts);

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int64_t allowed_ = 0;
  int64_t entered_ = 0;
  bool throws_ = false;
  std::vector<std::vector<int64_t>> parts_;
};

class FakeEngine final : public Engine {
 public:
  static constexpr int64_t kVocab = 100;
  static constexpr int64_t kContext = 512;

  FakeEngine(StepGate& gate, int64_t blocks, int32_t stride = 1);

  const model::Blueprint& blueprint() const override { return blueprint_; }
  SequenceId Open(std::string_view salt) override { return kv_.Open(salt); }
  void Close(SequenceId sequence) override { kv_.Close(sequence); }
  int64_t Adopt(SequenceId sequence, std::span<const int32_t> tokens) override {
    return kv_.Adopt(sequence, tokens);
  }
  void Share(SequenceId sequence, std::span<const int32_t> tokens) override {
    kv_.Share(sequence, tokens);
  }
  void Truncate(SequenceId sequence, int64_t length) override { kv_.Truncate(sequence, length); }
  KvHolding Holding(SequenceId sequence) const override { return kv_.Holding(sequence); }
  absl::Status Reserve(SequenceId sequence, int64_t tokens) override {
    return kv_.Reserve(sequence, tokens);
  }
  int64_t Length(SequenceId sequence) const override { return kv_.Length(sequence); }
  KvUsage kv() const override { return kv_.usage(); }
  int64_t max_step_tokens() const override { return 64; }
  absl::Status Step(std::span<const SequenceStep> steps, Logits* logits) override;

 private:
  StepGate& gate_;
  const int32_t stride_;
  model::Blueprint blueprint_;
  KvCache kv_;
};

}  // namespace floe::inference
