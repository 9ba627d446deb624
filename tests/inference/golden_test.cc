// The engine against Hugging Face transformers 4.53 (torch 2.4, CPU, eager attention): logits of
// checkpoints made by the same formula. The numbers are what that library printed.
#include <array>
#include <cmath>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "inference/engine/cpu_engine.h"
#include "inference/sampling/sampler.h"
#include "tests/inference/tiny_checkpoint.h"

namespace floe::inference {
namespace {

constexpr std::array<int32_t, 19> kIds = {3, 17, 42, 5,  60, 1, 33, 33, 8, 21,
                                          0, 63, 12, 50, 9,  4, 27, 41, 2};
constexpr std::array<int, 3> kPositions = {0, 7, 18};

struct Golden {
  model::Family family;
  float logits[3][16];  // of ids 0 to 15, after positions 0, 7, 18
  int32_t likeliest[19];
};

const char* NameOf(const Golden& golden) {
  return golden.family == model::Family::kQwen3   ? "Qwen3"
         : golden.family == model::Family::kQwen2 ? "Qwen2"
                                                  : "Llama";
}

void PrintTo(const Golden& golden, std::ostream* out) { *out << NameOf(golden); }

constexpr Golden kGolden[] = {
    {model::Family::kQwen3,
     {
         {-0.359367f, -0.103746f, -0.392682f, 2.005232f, 0.327034f, 0.087604f, 2.501834f, 0.650294f,
          -0.101346f, 0.494539f, -1.172675f, -1.445970f, 1.104766f, -0.833824f, 0.598566f,
          0.150927f},
         {-0.519319f, -0.152375f, 0.642087f, 0.861416f, -0.738457f, 0.880097f, 2.627486f, 0.216987f,
          -0.280758f, 1.003585f, 0.130571f, -0.684258f, 0.358265f, 0.595701f, 0.168073f,
          -0.648970f},
         {-0.844551f, 0.127805f, 1.071702f, 0.876413f, -1.151081f, -0.843018f, 1.248237f,
          -1.067690f, 1.089911f, 0.206413f, -0.731156f, -0.738088f, -0.099600f, -0.979850f,
          0.721316f, -0.915183f},
     },
     {6, 43, 6, 22, 60, 22, 6, 6, 6, 3, 22, 59, 22, 60, 22, 22, 22, 41, 22}},
    {model::Family::kQwen2,
     {
         {-0.990607f, 0.245698f, -0.354149f, 0.430171f, -0.817421f, -1.203928f, 0.191745f,
          -0.000079f, 0.811825f, -1.444706f, -0.259164f, 0.943792f, 0.017702f, -0.320195f,
          1.681163f, 1.079668f},
         {-0.357108f, -0.132056f, -1.185006f, 0.321197f, -0.318257f, -0.628564f, 1.775326f,
          0.592589f, -0.549856f, -0.267093f, -0.317903f, 0.434223f, -0.307677f, -0.744316f,
          2.187631f, 0.369377f},
         {-0.330419f, 0.026036f, 1.428792f, -0.405074f, -0.326841f, 0.037853f, 1.217010f,
          -0.830672f, -0.283220f, -1.258362f, 0.079861f, 0.650478f, -0.674496f, -0.235034f,
          0.903978f, -0.763201f},
     },
     {14, 14, 11, 7, 56, 56, 14, 14, 22, 14, 6, 63, 6, 22, 57, 14, 14, 63, 63}},
    {model::Family::kLlama,
     {
         {-0.316254f, -0.216000f, -0.158068f, 0.937999f, 0.379009f, -0.536437f, 0.705277f,
          -0.516231f, -0.417227f, 0.202585f, -0.913646f, -0.351442f, 0.559845f, -0.982595f,
          -0.022780f, 0.241509f},
         {0.248849f, 0.861329f, 1.536076f, -0.662226f, -0.192570f, 0.034326f, -1.243587f,
          -1.145620f, -0.999876f, -0.140814f, -0.219632f, -0.440452f, -0.051947f, 0.088285f,
          0.445309f, -0.719657f},
         {1.402206f, -1.073048f, -1.150941f, -0.100602f, -0.294405f, -0.586948f, -0.410233f,
          0.769681f, -1.662211f, 0.376181f, -1.090664f, 1.006855f, -0.135276f, 0.236913f, 0.311062f,
          -0.391890f},
     },
     {38, 38, 38, 62, 62, 62, 62, 53, 62, 53, 62, 29, 62, 32, 62, 62, 62, 31, 31}},
};

class GoldenTest : public testing::TestWithParam<Golden> {};

TEST_P(GoldenTest, LogitsAgreeWithTransformers) {
  const Golden& golden = GetParam();
  const model::Checkpoint checkpoint = FormulaCheckpoint(TinyBlueprint(golden.family));
  auto engine = CreateCpuEngine(checkpoint, {.kv_bytes = 1 << 20});
  ASSERT_TRUE(engine.ok()) << engine.status();
  const SequenceStep step{(*engine)->Open(), kIds, true};
  Logits logits;
  ASSERT_TRUE((*engine)->Step({&step, 1}, &logits).ok());
  for (size_t p = 0; p < kPositions.size(); ++p) {
    for (int id = 0; id < 16; ++id) {
      EXPECT_NEAR(logits.Row(kPositions[p])[id], golden.logits[p][id], 2e-5)
          << "position " << kPositions[p] << " id " << id;
    }
  }
  for (size_t i = 0; i < kIds.size(); ++i) {
    EXPECT_EQ(Likeliest(logits.Row(static_cast<int64_t>(i))), golden.likeliest[i]) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenTest, testing::ValuesIn(kGolden),
                         [](const auto& info) { return std::string(NameOf(info.param)); });

}  // namespace
}  // namespace floe::inference
