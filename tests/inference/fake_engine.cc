#include "tests/inference/fake_engine.h"

#include <new>
#include <utility>

#include "base/status_macros.h"

namespace floe::inference {
namespace {

model::Blueprint FakeBlueprint() {
  model::Blueprint b;
  b.vocab_size = FakeEngine::kVocab;
  b.hidden_size = 4;
  b.num_layers = b.num_heads = b.num_kv_heads = 1;
  b.head_dim = b.ffn_hidden = 4;
  b.context = FakeEngine::kContext;
  return b;
}

}  // namespace

void StepGate::Allow(int64_t n) {
  const std::lock_guard lock(mutex_);
  allowed_ += n;
  changed_.notify_all();
}

void StepGate::ThrowOnce() {
  const std::lock_guard lock(mutex_);
  throws_ = true;
}

void StepGate::WaitForStep(int64_t n) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return entered_ >= n; });
}

std::vector<std::vector<int64_t>> StepGate::parts() const {
  const std::lock_guard lock(mutex_);
  return parts_;
}

void StepGate::Enter(std::vector<int64_t> parts) {
  std::unique_lock lock(mutex_);
  parts_.push_back(std::move(parts));
  ++entered_;
  changed_.notify_all();
  changed_.wait(lock, [&] { return allowed_ >= entered_; });
  if (std::exchange(throws_, false)) throw std::bad_alloc();
}

FakeEngine::FakeEngine(StepGate& gate, int64_t blocks, int32_t stride)
    : gate_(gate),
      stride_(stride),
      blueprint_(FakeBlueprint()),
      kv_(*KvCache::Create(blueprint_, blocks)) {}

absl::Status FakeEngine::Step(std::span<const SequenceStep> steps, Logits* logits) {
  std::vector<int64_t> parts;
  for (const SequenceStep& step : steps) {
    parts.push_back(static_cast<int64_t>(step.tokens.size()));
    FLOE_RETURN_IF_ERROR(kv_.Reserve(step.sequence, parts.back()));
    kv_.Advance(step.sequence, parts.back());
  }
  gate_.Enter(std::move(parts));
  logits->vocab = logits->stride = kVocab;
  logits->values.clear();
  logits->hidden.clear();
  logits->hidden_size = blueprint_.hidden_size;
  for (const SequenceStep& step : steps) {
    const size_t count = step.tokens.size();
    if (step.hidden_states) {
      for (const int32_t token : step.tokens) {
        const float value = static_cast<float>(token);
        logits->hidden.insert(logits->hidden.end(), {value, 1, value * value, -value});
      }
      continue;
    }
    for (size_t i = step.all_logits ? 0 : count - 1; i < count; ++i) {
      std::vector<float> row(kVocab);
      row[(step.tokens[i] + stride_) % kVocab] = 10;
      logits->values.insert(logits->values.end(), row.begin(), row.end());
    }
  }
  return absl::OkStatus();
}

}  // namespace floe::inference
