#include "bench/inference/workload.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <random>

#include "base/status_macros.h"
#include "model/checkpoint.h"

namespace floe::bench {
namespace {

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

std::vector<int32_t> Prompt(const inference::Engine& engine, int sequence, int tokens) {
  std::vector<int32_t> ids;
  for (int i = 0; i < tokens; ++i) ids.push_back(PromptToken(engine.blueprint(), sequence, i));
  return ids;
}

// Whether the tensor is one through which a layer from `silent_from` on would add something.
bool IsSilent(std::string_view name, int64_t silent_from) {
  constexpr std::string_view kLayers = "model.layers.";
  int64_t layer = 0;
  return name.starts_with(kLayers) &&
         std::from_chars(name.data() + kLayers.size(), name.data() + name.size(), layer).ec ==
             std::errc() &&
         layer >= silent_from &&
         (name.find("o_proj") != name.npos || name.find("down_proj") != name.npos);
}

}  // namespace

std::vector<ServedModel> ServedModels() {
  model::Blueprint large;
  large.family = model::Family::kLlama;
  large.vocab_size = 49152;
  large.hidden_size = 576;
  large.num_layers = 30;
  large.num_heads = 9;
  large.num_kv_heads = 3;
  large.head_dim = 64;
  large.ffn_hidden = 1536;
  large.context = 2048;
  large.rope_theta = 1e4;
  model::Blueprint small = large;
  small.vocab_size = 32000;
  small.hidden_size = 288;
  small.num_layers = 6;
  small.num_heads = small.num_kv_heads = 6;
  small.head_dim = 48;
  small.ffn_hidden = 768;
  return {{"135M", large}, {"15M", small}};
}

int32_t PromptToken(const model::Blueprint& blueprint, int sequence, int position) {
  return static_cast<int32_t>((position * 37 + sequence * 101 + 3) % blueprint.vocab_size);
}

absl::Status WriteRandomCheckpoint(const model::Blueprint& blueprint,
                                   const std::filesystem::path& folder,
                                   const RandomWeights& weights) {
  model::CheckpointContents contents;
  contents.blueprint = blueprint;
  std::mt19937 random(weights.seed);
  std::vector<std::vector<float>> numbers;
  for (const model::TensorSpec& spec : model::TensorsOf(blueprint)) {
    size_t count = 1;
    for (const int64_t dim : spec.shape) count *= static_cast<size_t>(dim);
    std::vector<float>& values = numbers.emplace_back(count, 1.0f);
    if (spec.shape.size() > 1) {
      for (float& value : values) value = static_cast<float>(random()) * 0x1p-35f - 0.0625f;
    }
    if (IsSilent(spec.name, weights.silent_from)) {
      std::fill(values.begin(), values.end(), 0.0f);
    }
    contents.tensors.push_back({spec.name,
                                {model::DType::kF32,
                                 spec.shape,
                                 {reinterpret_cast<const char*>(values.data()), count * 4}}});
  }
  return model::WriteCheckpoint(folder, contents).status();
}

absl::StatusOr<double> PrefillSeconds(inference::Engine& engine) {
  const Sequences sequences(engine, 1);
  const std::vector<int32_t> prompt = Prompt(engine, 0, kPrefillTokens);
  const inference::SequenceStep step{sequences.ids()[0], prompt};
  inference::Logits logits;
  const double start = Seconds();
  FLOE_RETURN_IF_ERROR(engine.Step({&step, 1}, &logits));
  return Seconds() - start;
}

absl::StatusOr<double> DecodeSeconds(inference::Engine& engine, int count, int prompt) {
  const Sequences sequences(engine, count);
  inference::Logits logits;
  for (int i = 0; i < count; ++i) {
    const std::vector<int32_t> ids = Prompt(engine, i, prompt);
    const inference::SequenceStep step{sequences.ids()[i], ids};
    FLOE_RETURN_IF_ERROR(engine.Step({&step, 1}, &logits));
  }
  const double start = Seconds();
  for (int step = 0; step < kDecodeSteps; ++step) {
    const int32_t token = PromptToken(engine.blueprint(), 0, prompt + step);
    std::vector<inference::SequenceStep> steps;
    for (const inference::SequenceId id : sequences.ids()) steps.push_back({id, {&token, 1}});
    FLOE_RETURN_IF_ERROR(engine.Step(steps, &logits));
  }
  return Seconds() - start;
}

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace floe::bench
