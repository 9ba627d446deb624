// Each family as it is published against Hugging Face transformers: the folders of
// tests/trainer/families, imported and served, give the logits that transformers computed.
#include <algorithm>
#include <cmath>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "inference/engine/cpu_engine.h"
#include "tests/model/golden_family.h"
#include "tests/support/temp_dir.h"

namespace floe::inference {
namespace {

class FamiliesTest : public testing::TestWithParam<const char*> {};

TEST_P(FamiliesTest, TheEngineComputesTransformersLogits) {
  const test::TempDir temp;
  const auto golden = model::ImportGoldenFamily(
      std::filesystem::path(FLOE_TEST_FAMILIES) / GetParam(), temp / "imported");
  ASSERT_TRUE(golden.ok()) << golden.status();
  const auto engine = CreateCpuEngine(golden->checkpoint, {.kv_bytes = 1 << 20});
  ASSERT_TRUE(engine.ok()) << engine.status();
  // Both sequences in one step.
  std::vector<std::vector<int32_t>> tokens;
  for (const auto& ids : golden->ids) tokens.emplace_back(ids.begin(), ids.end());
  std::vector<SequenceStep> steps;
  for (const auto& ids : tokens) steps.push_back({(*engine)->Open(), ids, true});
  Logits logits;
  ASSERT_TRUE((*engine)->Step(steps, &logits).ok());
  double apart = 0;
  int64_t row = 0;
  for (const auto& sequence : golden->logits) {
    for (const auto& wanted : sequence) {
      const auto got = logits.Row(row++);
      ASSERT_EQ(got.size(), wanted.size());
      for (size_t v = 0; v < wanted.size(); ++v) {
        apart = std::max(apart, std::abs(static_cast<double>(got[v]) - wanted[v]));
      }
    }
  }
  EXPECT_EQ(row, 40);
  EXPECT_LT(apart, 1e-4);
}

INSTANTIATE_TEST_SUITE_P(All, FamiliesTest,
                         testing::Values("qwen3", "llama", "qwen2", "gpt2", "llama3_scaled",
                                         "linear_scaled"),
                         [](const auto& family) { return std::string(family.param); });

}  // namespace
}  // namespace floe::inference
