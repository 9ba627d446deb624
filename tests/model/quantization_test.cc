#include "model/quantization.h"

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/files.h"
#include "model/checkpoint.h"
#include "model/half.h"
#include "tests/model/samples.h"
#include "tests/support/temp_dir.h"

namespace floe::model {
namespace {

using testing::HasSubstr;

TEST(Half, EveryHalfComesBackFromItsFloat) {
  for (uint32_t bits = 0; bits <= 0xffff; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = HalfToFloat(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(HalfToFloat(FloatToHalf(value)))) << bits;
    } else {
      ASSERT_EQ(FloatToHalf(value), half) << bits;
    }
  }
}

TEST(Half, RoundsToTheNearestAndTiesToEven) {
  // Between each two neighbours: the middle goes to the even one, what is beyond it to the nearer.
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
    const float low = HalfToFloat(static_cast<uint16_t>(bits));
    const float high = HalfToFloat(static_cast<uint16_t>(bits + 1));
    const float middle = low + (high - low) / 2;
    ASSERT_EQ(FloatToHalf(middle), bits + (bits & 1)) << bits;
    ASSERT_EQ(FloatToHalf(std::nextafter(middle, low)), bits) << bits;
    ASSERT_EQ(FloatToHalf(std::nextafter(middle, high)), bits + 1) << bits;
  }
  EXPECT_EQ(FloatToHalf(65519.0f), 0x7bff);
  EXPECT_EQ(FloatToHalf(65520.0f), 0x7c00);
  EXPECT_EQ(FloatToHalf(-1e30f), 0xfc00);
}

std::vector<float> RandomWeights(size_t n, float spread) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> weights(n);
  for (float& weight : weights) weight = normal(random);
  return weights;
}

class QuantizeTest : public testing::TestWithParam<std::tuple<bool, float>> {};

TEST_P(QuantizeTest, EachNumberIsTheNearestMultipleOfAScaleThatHoldsTheLargest) {
  const auto [transposed, spread] = GetParam();
  const MatrixLayout layout{5, 75, transposed};  // groups of 32, 32 and 11
  const std::vector<float> weights = RandomWeights(5 * 75, spread);
  const auto matrix = Quantize(weights, layout);
  ASSERT_TRUE(matrix.ok()) << matrix.status();
  ASSERT_EQ(matrix->scales.size(), 15u);
  for (int64_t row = 0; row < layout.out; ++row) {
    float largest[3] = {};
    for (int64_t k = 0; k < layout.in; ++k) {
      const auto at = static_cast<size_t>(layout.At(row, k));
      const float scale =
          HalfToFloat(matrix->scales[static_cast<size_t>(layout.ScaleAt(row, k / 32))]);
      EXPECT_LE(std::abs(weights[at] - scale * matrix->numbers[at]), scale * 0.5001f);
      EXPECT_GE(matrix->numbers[at], -127);
      largest[k / 32] = std::max(largest[k / 32], std::abs(weights[at]));
    }
    for (int64_t group = 0; group < 3; ++group) {
      const uint16_t bits = matrix->scales[static_cast<size_t>(layout.ScaleAt(row, group))];
      // The smallest half that reaches: no bit is given away.
      EXPECT_GE(HalfToFloat(bits) * 127, largest[group]);
      EXPECT_LT(HalfToFloat(static_cast<uint16_t>(bits - 1)) * 127, largest[group]);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, QuantizeTest,
                         testing::Combine(testing::Bool(), testing::Values(0.02f, 1e-5f, 400.0f)));

TEST(Quantize, ZerosStayZeroAndWhatNoScaleHoldsIsRefused) {
  const std::vector<float> zeros(64);
  const auto matrix = Quantize(zeros, {2, 32, false});
  ASSERT_TRUE(matrix.ok());
  EXPECT_THAT(matrix->numbers, testing::Each(0));
  EXPECT_THAT(matrix->scales, testing::Each(0));
  std::vector<float> huge = zeros;
  huge[40] = 1e7f;
  const auto refused = Quantize(huge, {2, 32, false});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("row 1 holds 1e+07"));
}

class QuantizedCheckpointTest : public testing::TestWithParam<Family> {
 protected:
  Checkpoint Source() {
    const Blueprint blueprint = SmallBlueprint(GetParam());
    const SmallTensors tensors(blueprint);
    CheckpointContents contents{.blueprint = blueprint,
                                .parents = {.dataset = std::string(64, 'd')},
                                .tensors = tensors.Named(),
                                .tokenizer_files = {{"tokenizer.json", "{}"}}};
    EXPECT_TRUE(WriteCheckpoint(folder_.path() / "source", contents).ok());
    return Checkpoint::Open(folder_.path() / "source").value();
  }

  test::TempDir folder_;
};

TEST_P(QuantizedCheckpointTest, NamesItsSourceAndHoldsEveryTensor) {
  const Checkpoint source = Source();
  const auto digest = QuantizeCheckpoint(source, folder_.path() / "int8");
  ASSERT_TRUE(digest.ok()) << digest.status();
  const auto narrow = Checkpoint::Open(folder_.path() / "int8");
  ASSERT_TRUE(narrow.ok()) << narrow.status();
  EXPECT_EQ(narrow->digest(), *digest);
  EXPECT_NE(narrow->digest(), source.digest());
  EXPECT_EQ(narrow->weight_format(), WeightFormat::kInt8);
  EXPECT_EQ(narrow->blueprint(), source.blueprint());
  EXPECT_EQ(narrow->manifest().parents.checkpoint, source.digest());
  EXPECT_EQ(narrow->manifest().parents.dataset, std::string(64, 'd'));
  EXPECT_TRUE(narrow->manifest().files.contains("tokenizer.json"));
  for (const TensorSpec& spec : TensorsOf(source.blueprint())) {
    const TensorView stored = narrow->Tensor(spec.name).value();
    if (!IsQuantized(spec)) {
      EXPECT_EQ(stored.bytes, source.Tensor(spec.name)->bytes) << spec.name;
      continue;
    }
    ASSERT_EQ(stored.dtype, DType::kI8) << spec.name;
    const MatrixLayout layout = LayoutOf(spec);
    const std::vector<float> scales = narrow->Tensor(ScaleName(spec.name))->ToFloats();
    const std::vector<float> numbers = stored.ToFloats();
    const std::vector<float> exact = source.Tensor(spec.name)->ToFloats();
    for (int64_t row = 0; row < layout.out; ++row) {
      for (int64_t k = 0; k < layout.in; ++k) {
        const float scale = scales[static_cast<size_t>(layout.ScaleAt(row, k / 32))];
        const auto at = static_cast<size_t>(layout.At(row, k));
        ASSERT_NEAR(numbers[at] * scale, exact[at], scale * 0.5001f) << spec.name;
      }
    }
  }
  // Stacks that do not know the method must not take it for floats.
  const std::string config = ReadFile(folder_.path() / "int8" / "config.json").value();
  EXPECT_THAT(config, HasSubstr("\"quant_method\": \"floe-int8\""));
  EXPECT_FALSE(ParseConfigJson(config).ok());
}

TEST_P(QuantizedCheckpointTest, IsNotQuantizedTwice) {
  ASSERT_TRUE(QuantizeCheckpoint(Source(), folder_.path() / "int8").ok());
  const Checkpoint narrow = Checkpoint::Open(folder_.path() / "int8").value();
  EXPECT_EQ(QuantizeCheckpoint(narrow, folder_.path() / "again").status().code(),
            absl::StatusCode::kFailedPrecondition);
}

INSTANTIATE_TEST_SUITE_P(Families, QuantizedCheckpointTest,
                         testing::Values(Family::kQwen3, Family::kLlama, Family::kQwen2,
                                         Family::kGpt2),
                         [](const auto& info) { return std::string(FamilyName(info.param)); });

TEST(QuantizedManifest, OnlyKnownFormatsAreRead) {
  Manifest manifest{SmallBlueprint(Family::kQwen3)};
  const std::string wide = manifest.Serialize();
  EXPECT_THAT(wide, testing::Not(HasSubstr("weights")));  // digests of older versions stay
  manifest.weight_format = WeightFormat::kInt8;
  std::string text = manifest.Serialize();
  EXPECT_EQ(Manifest::Parse(text)->weight_format, WeightFormat::kInt8);
  text.replace(text.find("int8"), 4, "int4");
  EXPECT_THAT(std::string(Manifest::Parse(text).status().message()), HasSubstr("int8 is known"));
}

}  // namespace
}  // namespace floe::model
