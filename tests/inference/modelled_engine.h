// An engine that computes nothing and takes time on a clock of the test's: a step takes a fixed
// time and one per token. Its KV cache is the real one.
#pragma once

#include <cstdint>

#include "inference/engine/engine.h"
#include "inference/engine/kv_cache.h"
#include "tests/support/fake_clock.h"

namespace floe::inference {

struct ModelledCost {
  absl::Duration fixed = absl::Milliseconds(8);
  absl::Duration per_token = absl::Microseconds(250);
};

class ModelledEngine final : public Engine {
 public:
  static constexpr int64_t kVocab = 2;

  // Borrows `clock`.
  ModelledEngine(test::FakeClock& clock, const ModelledCost& cost, int64_t blocks);

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
  int64_t max_step_tokens() const override { return 8192; }
  absl::Status Step(std::span<const SequenceStep> steps, Logits* logits) override;

 private:
  test::FakeClock& clock_;
  const ModelledCost cost_;
  model::Blueprint blueprint_;
  KvCache kv_;
};

}  // namespace floe::inference
