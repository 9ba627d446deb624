#include "tests/inference/tiny_checkpoint.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <deque>

#include "gtest/gtest.h"

#include "model/quantization.h"

namespace floe::inference {
namespace {

uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

uint64_t Fnv1a(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

}  // namespace

model::Blueprint TinyBlueprint(model::Family family) {
  model::Blueprint b;
  b.family = family;
  b.vocab_size = 64;
  b.hidden_size = 32;
  b.num_layers = 2;
  b.num_heads = 4;
  b.num_kv_heads = 2;
  b.head_dim = family == model::Family::kQwen3 ? 16 : 8;
  b.ffn_hidden = 48;
  b.context = 64;
  b.rope_theta = family == model::Family::kLlama ? 1e4 : 1e6;
  b.tie_embeddings = family != model::Family::kLlama;
  if (family == model::Family::kGpt2) {
    b.num_kv_heads = b.num_heads;
    b.ffn = model::FfnKind::kPlain;
  }
  return b;
}

model::Blueprint OddBlueprint(model::Family family) {
  model::Blueprint b = TinyBlueprint(family);
  b.vocab_size = 301;
  b.hidden_size = 72;
  b.num_heads = 6;
  b.num_kv_heads = 2;
  b.head_dim = 24;
  b.ffn_hidden = 200;
  b.context = 256;
  if (family == model::Family::kGpt2) {
    b.num_heads = b.num_kv_heads = 8;
    b.head_dim = 9;  // odd: nothing turns pairs
  }
  return b;
}

float FormulaValue(const std::string& name, int64_t i, float spread) {
  const uint64_t bits = Mix(Fnv1a(name) + static_cast<uint64_t>(i)) >> 40;
  const float u = static_cast<float>(bits) / static_cast<float>(1 << 24) - 0.5f;
  const bool gain = name.find("norm") != std::string::npos ||
                    (name.find(".ln_") != std::string::npos && name.ends_with(".weight"));
  return gain ? 1.0f + 0.5f * u : spread * u;
}

std::string WriteFormulaCheckpoint(const std::filesystem::path& folder,
                                   const model::Blueprint& blueprint, float spread,
                                   std::map<std::string, std::string> tokenizer_files,
                                   const OddElement& odd) {
  model::CheckpointContents contents;
  contents.blueprint = blueprint;
  contents.tokenizer_files = std::move(tokenizer_files);
  std::vector<std::vector<float>> floats;
  for (const model::TensorSpec& spec : model::TensorsOf(blueprint)) {
    int64_t size = 1;
    for (const int64_t dim : spec.shape) size *= dim;
    std::vector<float>& values = floats.emplace_back(static_cast<size_t>(size));
    for (int64_t i = 0; i < size; ++i) values[i] = FormulaValue(spec.name, i, spread);
    if (spec.name == odd.tensor) values.back() = odd.value;
    const std::string_view bytes(reinterpret_cast<const char*>(values.data()), values.size() * 4);
    contents.tensors.push_back({spec.name, {model::DType::kF32, spec.shape, bytes}});
  }
  const auto digest = model::WriteCheckpoint(folder, contents);
  if (!digest.ok()) ADD_FAILURE() << digest.status();
  return digest.value_or("");
}

model::Checkpoint WriteWidenedCheckpoint(const std::filesystem::path& folder,
                                         const model::Checkpoint& narrow) {
  model::CheckpointContents contents{.blueprint = narrow.blueprint()};
  std::deque<std::vector<float>> floats;
  for (const model::TensorSpec& spec : model::TensorsOf(narrow.blueprint())) {
    std::vector<float>& values = floats.emplace_back(narrow.Tensor(spec.name)->ToFloats());
    if (model::IsQuantized(spec)) {
      const model::MatrixLayout layout = model::LayoutOf(spec);
      const std::vector<float> scales = narrow.Tensor(model::ScaleName(spec.name))->ToFloats();
      for (int64_t row = 0; row < layout.out; ++row) {
        for (int64_t k = 0; k < layout.in; ++k) {
          float& value = values[static_cast<size_t>(layout.At(row, k))];
          const double scale = scales[static_cast<size_t>(layout.ScaleAt(row, k / 32))];
          value = static_cast<float>(value * scale);
        }
      }
    }
    contents.tensors.push_back(
        {spec.name,
         {model::DType::kF32,
          spec.shape,
          {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)}}});
  }
  if (!model::WriteCheckpoint(folder, contents).ok()) std::abort();
  return model::Checkpoint::Open(folder).value();
}

model::Checkpoint FormulaCheckpoint(const model::Blueprint& blueprint, float spread,
                                    const OddElement& odd) {
  static std::atomic<int> count{0};
  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) /
      ("floe-tiny-" + std::to_string(getpid()) + "-" + std::to_string(count++));
  WriteFormulaCheckpoint(folder, blueprint, spread, {}, odd);
  auto checkpoint = model::Checkpoint::Open(folder);
  if (!checkpoint.ok()) ADD_FAILURE() << checkpoint.status();
  // The mapping outlives its name.
  std::filesystem::remove_all(folder);
  return *std::move(checkpoint);
}

}  // namespace floe::inference
