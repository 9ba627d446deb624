#include "bench/inference/workload.h"

#include <algorithm>
#include <chrono>
#include <random>

#include "base/status_macros.h"
#include "model/checkpoint.h"

namespace floe::bench {
namespace {

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::vector<int32_t> Prompt(int sequence) {
  std::vector<int32_t> ids;
  for (int i = 0; i < kPromptTokens; ++i) ids.push_back(PromptToken(sequence, i));
  return ids;
}

// Open sequences, closed however the measurement ends.
class Sequences {
 public:
  Sequences(inference::Engine& engine, int count) : engine_(engine) {
    for (int i = 0; i < count; ++i) ids_.push_back(engine.Open());
  }
  Sequences(const Sequences&) = delete;
  Sequences& operator=(const Sequences&) = delete;
  ~Sequences() {
    for (const inference::SequenceId id : ids_) engine_.Close(id);
  }
  const std::vector<inference::SequenceId>& ids() const { return ids_; }

 private:
  inference::Engine& engine_;
  std::vector<inference::SequenceId> ids_;
};

absl::Status Prefill(inference::Engine& engine, const std::vector<inference::SequenceId>& sequences,
                     const std::vector<std::vector<int32_t>>& prompts,
                     std::vector<int32_t>* last_token) {
  const size_t a_step = std::max<size_t>(1, engine.max_step_tokens() / kPromptTokens);
  inference::Logits logits;
  for (size_t first = 0; first < sequences.size(); first += a_step) {
    std::vector<inference::SequenceStep> steps;
    for (size_t i = first; i < std::min(sequences.size(), first + a_step); ++i) {
      steps.push_back({sequences[i], prompts[i], false});
    }
    FLOE_RETURN_IF_ERROR(engine.Step(steps, &logits));
    for (size_t i = 0; i < steps.size(); ++i) {
      const auto row = logits.Row(static_cast<int64_t>(i));
      last_token->push_back(
          static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin()));
    }
  }
  return absl::OkStatus();
}

}  // namespace

model::Blueprint BenchBlueprint() {
  model::Blueprint b;
  b.vocab_size = 8192;
  b.hidden_size = 512;
  b.num_layers = 8;
  b.num_heads = 8;
  b.num_kv_heads = 4;
  b.head_dim = 64;
  b.ffn_hidden = 1536;
  b.context = 1024;
  return b;
}

int32_t PromptToken(int sequence, int position) {
  return (position * 37 + sequence * 101 + 3) % 8192;
}

absl::Status WriteRandomCheckpoint(const std::filesystem::path& folder) {
  model::CheckpointContents contents;
  contents.blueprint = BenchBlueprint();
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0.0f, 0.04f);
  std::vector<std::vector<float>> numbers;
  for (const model::TensorSpec& spec : model::TensorsOf(contents.blueprint)) {
    size_t count = 1;
    for (const int64_t dim : spec.shape) count *= static_cast<size_t>(dim);
    std::vector<float>& values = numbers.emplace_back(count, 1.0f);
    if (spec.shape.size() > 1) {
      for (float& value : values) value = normal(random);
    }
    contents.tensors.push_back({spec.name,
                                {model::DType::kF32,
                                 spec.shape,
                                 {reinterpret_cast<const char*>(values.data()), count * 4}}});
  }
  return model::WriteCheckpoint(folder, contents).status();
}

absl::StatusOr<double> PrefillSeconds(inference::Engine& engine, int batch) {
  const Sequences sequences(engine, batch);
  std::vector<std::vector<int32_t>> prompts;
  for (int i = 0; i < batch; ++i) prompts.push_back(Prompt(i));
  std::vector<int32_t> tokens;
  const double start = Now();
  FLOE_RETURN_IF_ERROR(Prefill(engine, sequences.ids(), prompts, &tokens));
  return Now() - start;
}

absl::StatusOr<Decoded> Decode(inference::Engine& engine, int batch) {
  const Sequences sequences(engine, batch);
  std::vector<std::vector<int32_t>> prompts;
  for (int i = 0; i < batch; ++i) prompts.push_back(Prompt(i));
  std::vector<int32_t> tokens;
  FLOE_RETURN_IF_ERROR(Prefill(engine, sequences.ids(), prompts, &tokens));
  Decoded decoded;
  inference::Logits logits;
  const double start = Now();
  for (int step = 0; step < kDecodeSteps; ++step) {
    decoded.greedy.push_back(tokens[0]);
    std::vector<inference::SequenceStep> steps;
    for (size_t i = 0; i < tokens.size(); ++i) {
      steps.push_back({sequences.ids()[i], {&tokens[i], 1}, false});
    }
    FLOE_RETURN_IF_ERROR(engine.Step(steps, &logits));
    for (size_t i = 0; i < tokens.size(); ++i) {
      const auto row = logits.Row(static_cast<int64_t>(i));
      tokens[i] = static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
    }
  }
  decoded.seconds = Now() - start;
  return decoded;
}

}  // namespace floe::bench
