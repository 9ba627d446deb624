#include "tests/inference/modelled_engine.h"

#include "base/status_macros.h"

namespace floe::inference {
namespace {

model::Blueprint ModelledBlueprint() {
  model::Blueprint b;
  b.vocab_size = ModelledEngine::kVocab;
  b.hidden_size = 4;
  b.num_layers = b.num_heads = b.num_kv_heads = 1;
  b.head_dim = b.ffn_hidden = 4;
  b.context = 8192;
  return b;
}

}  // namespace

ModelledEngine::ModelledEngine(test::FakeClock& clock, const ModelledCost& cost, int64_t blocks)
    : clock_(clock),
      cost_(cost),
      blueprint_(ModelledBlueprint()),
      kv_(*KvCache::Create(blueprint_, blocks)) {}

absl::Status ModelledEngine::Step(std::span<const SequenceStep> steps, Logits* logits) {
  int64_t tokens = 0;
  for (const SequenceStep& step : steps) {
    const auto count = static_cast<int64_t>(step.tokens.size());
    FLOE_RETURN_IF_ERROR(kv_.Reserve(step.sequence, count));
    kv_.Advance(step.sequence, count);
    tokens += count;
  }
  clock_.Advance(cost_.fixed + cost_.per_token * tokens);
  logits->vocab = logits->stride = kVocab;
  logits->values.assign(steps.size() * kVocab, 0.0f);
  return absl::OkStatus();
}

}  // namespace floe::inference
