// Weights in 8 bits, multiplied with rounded activations: the same bits in any company.
#include <cmath>
#include <functional>
#include <optional>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/files.h"
#include "inference/engine/cpu_engine.h"
#include "inference/engine/kv_cache.h"
#include "inference/engine/packed_matrix.h"
#include "model/quantization.h"
#include "tests/inference/tiny_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace floe::inference {
namespace {

using Tokens = std::vector<int32_t>;

// Logits after each of the tokens, given in chunks of `chunk`.
std::vector<float> AllLogits(Engine& engine, const Tokens& tokens, size_t chunk) {
  const SequenceId id = engine.Open();
  std::vector<float> all;
  Logits logits;
  for (size_t done = 0; done < tokens.size(); done += chunk) {
    const size_t count = std::min(chunk, tokens.size() - done);
    const SequenceStep step{id, std::span(tokens).subspan(done, count), true};
    EXPECT_TRUE(engine.Step({&step, 1}, &logits).ok());
    for (size_t row = 0; row < count; ++row) {
      const auto values = logits.Row(static_cast<int64_t>(row));
      all.insert(all.end(), values.begin(), values.end());
    }
  }
  engine.Close(id);
  return all;
}

class QuantizedEngineTest : public testing::TestWithParam<model::Family> {
 protected:
  model::Checkpoint Narrow(bool tied = true) {
    model::Blueprint blueprint = OddBlueprint(GetParam());
    blueprint.tie_embeddings = tied;
    WriteFormulaCheckpoint(folder_.path() / "wide", blueprint, 0.5f);
    EXPECT_TRUE(model::QuantizeCheckpoint(model::Checkpoint::Open(folder_.path() / "wide").value(),
                                          folder_.path() / "narrow")
                    .ok());
    return model::Checkpoint::Open(folder_.path() / "narrow").value();
  }

  test::TempDir folder_;
};

TEST_P(QuantizedEngineTest, SaysTheSameInAnyCompanyAndWhatTheWidenedWeightsSayUpToRounding) {
  for (const bool tied : {true, false}) {
    for (const char* name : {"wide", "narrow", "widened"}) {
      std::filesystem::remove_all(folder_.path() / name);
    }
    const model::Checkpoint narrow = Narrow(tied);
    const model::Checkpoint widened = WriteWidenedCheckpoint(folder_.path() / "widened", narrow);
    std::mt19937 random(5);
    Tokens tokens(61);
    for (int32_t& token : tokens) token = static_cast<int32_t>(random() % 301);
    const std::vector<float> exact =
        AllLogits(*CreateCpuEngine(widened, {}).value(), tokens, tokens.size());
    const std::vector<float> expected =
        AllLogits(*CreateCpuEngine(narrow, {}).value(), tokens, tokens.size());
    double error = 0, power = 0;
    for (size_t i = 0; i < exact.size(); ++i) {
      error += std::pow(expected[i] - exact[i], 2);
      power += std::pow(exact[i], 2);
    }
    // Activations in steps of 1/127 of the largest of their group, through every layer.
    EXPECT_LT(std::sqrt(error / power), 0.05);
    EXPECT_GT(error, 0);
    for (const int threads : {1, 2, 3}) {
      const auto engine = CreateCpuEngine(narrow, {.num_threads = threads});
      ASSERT_TRUE(engine.ok()) << engine.status();
      for (const size_t chunk : {1, 2, 3, 7, 61}) {
        ASSERT_EQ(AllLogits(**engine, tokens, chunk), expected)
            << threads << " threads, chunks of " << chunk;
      }
    }
  }
}

// Beside floats only where they are asked for, beside 8 bits unless F32 is.
TEST_P(QuantizedEngineTest, KeysAndValuesInF16ChangeNoMoreThanTheirRounding) {
  const model::Checkpoint narrow = Narrow();
  const model::Checkpoint wide = model::Checkpoint::Open(folder_.path() / "wide").value();
  Tokens tokens(61);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(i * 37 % 301);
  const auto say = [&](const model::Checkpoint& checkpoint, std::optional<KvType> type, int threads,
                       size_t chunk) {
    const CpuEngineOptions options{.num_threads = threads,
                                   .kv_bytes = 32 * KvBlockBytes(checkpoint, {.kv_type = type}),
                                   .kv_type = type};
    const auto engine = CreateCpuEngine(checkpoint, options).value();
    EXPECT_EQ(engine->kv().total_blocks, 32);
    return AllLogits(*engine, tokens, chunk);
  };
  for (const model::Checkpoint& checkpoint : {std::cref(wide), std::cref(narrow)}) {
    const std::vector<float> exact = say(checkpoint, KvType::kF32, 1, 61);
    const std::vector<float> rounded = say(checkpoint, KvType::kF16, 1, 61);
    double error = 0, power = 0;
    for (size_t i = 0; i < exact.size(); ++i) {
      error += std::pow(rounded[i] - exact[i], 2);
      power += std::pow(exact[i], 2);
    }
    const bool in_8_bits = checkpoint.weight_format() == model::WeightFormat::kInt8;
    // In 8 bits a change carries some activations over to the next whole number.
    EXPECT_LT(std::sqrt(error / power), in_8_bits ? 0.03 : 0.001);
    EXPECT_GT(error, 0);
    EXPECT_EQ(say(checkpoint, std::nullopt, 1, 61), in_8_bits ? rounded : exact);
    for (const size_t chunk : {1, 7}) {
      EXPECT_EQ(say(checkpoint, KvType::kF16, 2, chunk), rounded) << "chunks of " << chunk;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, QuantizedEngineTest,
                         testing::Values(model::Family::kQwen3, model::Family::kLlama,
                                         model::Family::kQwen2, model::Family::kGpt2),
                         [](const auto& info) {
                           return std::string(model::FamilyName(info.param));
                         });

TEST(QuantizedEngine, AScaleThatIsNoNumberIsNamed) {
  test::TempDir folder;
  const model::Blueprint blueprint = TinyBlueprint(model::Family::kLlama);
  WriteFormulaCheckpoint(folder.path() / "wide", blueprint, 0.5f);
  const model::Checkpoint wide = model::Checkpoint::Open(folder.path() / "wide").value();
  ASSERT_TRUE(model::QuantizeCheckpoint(wide, folder.path() / "narrow").ok());
  const model::Checkpoint narrow = model::Checkpoint::Open(folder.path() / "narrow").value();
  const std::string damaged = model::ScaleName("model.layers.1.mlp.down_proj.weight");
  const std::string bytes(narrow.Tensor(damaged)->bytes);
  std::string file = ReadFile(folder.path() / "narrow" / "model.safetensors").value();
  const size_t at = file.find(bytes);
  ASSERT_NE(at, std::string::npos);
  file[at] = 0x00;  // infinity, in F16
  file[at + 1] = 0x7c;
  folder.Write("narrow/model.safetensors", file);
  const auto engine = CreateCpuEngine(
      model::Checkpoint::Open(folder.path() / "narrow", /*verify=*/false).value(), {});
  EXPECT_EQ(engine.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(engine.status().message()), testing::HasSubstr(damaged));
}

TEST(QuantizedEngine, TakesAQuarterOfTheMemory) {
  for (const StepsTogether together : {StepsTogether::kTwo, StepsTogether::kFour}) {
    EXPECT_EQ(PackedMatrix(640, 320, together).bytes(), 640 * 320 + 640 * 10 * 2);
  }
  EXPECT_EQ(PackedMatrix(640, 320).bytes(), 640 * 320 * 4);
}

}  // namespace
}  // namespace floe::inference
