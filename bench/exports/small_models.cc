#include "bench/exports/small_models.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "model/checkpoint.h"
#include "model/half.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/trainer.h"

namespace floe::bench {
namespace {

using model::DType;
using model::Family;
using tokenizer::Pattern;

constexpr int kTokens = 300;     // of the tokenizer
constexpr int kVocabSize = 320;  // of the model: its last rows belong to no token
constexpr unsigned kSeed = 7;

constexpr std::string_view kText =
    "A ferry crosses the river every morning, and every evening it comes back with letters, bread "
    "and the news of the other side. The ferryman knows the current better than his own garden; "
    "he waits where the water is slow, crosses where it is narrow, and never hurries. When the "
    "river rises, nobody crosses. Then both sides wait, and each invents the news of the other.";

model::Blueprint Dials(Family family) {
  model::Blueprint b;
  b.family = family;
  b.vocab_size = kVocabSize;
  b.hidden_size = 64;
  b.num_layers = 3;
  b.num_heads = 4;
  b.num_kv_heads = family == Family::kGpt2 ? 4 : 2;
  b.head_dim = family == Family::kQwen3 ? 32 : 16;
  b.ffn_hidden = family == Family::kGpt2 ? 256 : 160;
  b.ffn = family == Family::kGpt2 ? model::FfnKind::kPlain : model::FfnKind::kGated;
  b.context = 128;
  b.rope_theta = family == Family::kLlama ? 1e4 : 1e6;
  b.tie_embeddings = family != Family::kLlama;
  return b;
}

Pattern PatternOf(Family family) {
  if (family == Family::kGpt2) return Pattern::kGpt2;
  return family == Family::kLlama ? Pattern::kCl100k : Pattern::kQwen2;
}

absl::StatusOr<std::unique_ptr<const tokenizer::Tokenizer>> SmallTokenizer(Family family) {
  FLOE_ASSIGN_OR_RETURN(auto trainer, tokenizer::Trainer::Create(
                                          {.vocab_size = kTokens, .pattern = PatternOf(family)}));
  trainer.Add(kText);
  FLOE_ASSIGN_OR_RETURN(tokenizer::Vocabulary vocabulary, trainer.Train());
  return tokenizer::Tokenizer::Create(std::move(vocabulary));
}

// Gains of norms lie around 1. Rows of the embedding are short, so that logits stay small where the
// embedding is also the head; other matrices keep the size of what goes through them.
std::vector<float> Weights(const model::TensorSpec& spec, const model::Blueprint& blueprint,
                           std::mt19937& random) {
  size_t count = 1;
  for (const int64_t dim : spec.shape) count *= static_cast<size_t>(dim);
  const bool vector = spec.shape.size() == 1;
  const bool gain = vector && !spec.name.ends_with(".bias");
  const bool table =
      !vector && spec.shape[0] >= blueprint.context &&
      (spec.name.find("embed") != std::string::npos ||
       spec.name.find(".wte") != std::string::npos || spec.name.find(".wpe") != std::string::npos);
  const float width = gain || vector ? 0.5f
                      : table        ? 1.0f
                                     : 4.0f / std::sqrt(static_cast<float>(blueprint.hidden_size));
  std::vector<float> values(count);
  for (float& value : values) {
    value = (static_cast<float>(random() >> 8) * 0x1p-24f - 0.5f) * width + (gain ? 1.0f : 0.0f);
  }
  return values;
}

std::string Stored(const std::vector<float>& values, DType dtype) {
  std::string bytes(values.size() * static_cast<size_t>(model::DTypeBytes(dtype)), '\0');
  if (dtype == DType::kF32) {
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t half = dtype == DType::kF16
                              ? model::FloatToHalf(values[i])
                              : static_cast<uint16_t>(std::bit_cast<uint32_t>(values[i]) >> 16);
    std::memcpy(bytes.data() + 2 * i, &half, 2);
  }
  return bytes;
}

}  // namespace

std::vector<SmallModel> SmallModels() {
  std::vector<SmallModel> models;
  for (const Family family : {Family::kQwen3, Family::kLlama, Family::kQwen2, Family::kGpt2}) {
    for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
      models.push_back({absl::StrCat(AbslView(model::FamilyName(family)), "-",
                                     absl::AsciiStrToLower(AbslView(model::DTypeName(dtype)))),
                        Dials(family), dtype});
    }
  }
  // Of the prompt and what follows it, 84 tokens: all three bands of llama3 occur.
  model::Blueprint llama = Dials(Family::kLlama);
  llama.rope_scaling = {model::RopeScalingKind::kLlama3, 4, 1, 4, 32};
  models.push_back({"llama-llama3-f32", llama, DType::kF32});
  model::Blueprint qwen3 = Dials(Family::kQwen3);
  qwen3.rope_scaling = {.kind = model::RopeScalingKind::kLinear, .factor = 4};
  models.push_back({"qwen3-linear-f32", qwen3, DType::kF32});
  return models;
}

absl::Status WriteSmallModel(const SmallModel& model, const std::filesystem::path& folder) {
  FLOE_ASSIGN_OR_RETURN(const auto words, SmallTokenizer(model.blueprint.family));
  model::CheckpointContents contents;
  contents.blueprint = model.blueprint;
  contents.tokenizer_files = {{"tokenizer.json", words->ToJson()},
                              {"tokenizer_config.json", tokenizer::TokenizerConfigJson(*words)}};
  const std::vector<model::TensorSpec> specs = model::TensorsOf(model.blueprint);
  std::mt19937 random(kSeed);
  std::vector<std::string> bytes;
  bytes.reserve(specs.size());  // tensors borrow from it
  for (const model::TensorSpec& spec : specs) {
    bytes.push_back(Stored(Weights(spec, model.blueprint, random), model.dtype));
    contents.tensors.push_back({spec.name, {model.dtype, spec.shape, bytes.back()}});
  }
  return model::WriteCheckpoint(folder, contents).status();
}

std::string_view Prompt() {
  return "The ferryman waits  by the river: 42 letters, a café, 你好 🚢\n\n  and it's never he\tn";
}

}  // namespace floe::bench
