// Each family against Hugging Face transformers: the folders of families/, imported as anybody's
// are, give the logits that transformers computed (families/make_goldens.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/model/golden_family.h"
#include "tests/support/temp_dir.h"
#include "trainer/internal/transformer.h"

namespace floe::trainer {
namespace {

constexpr double kTolerance = 1e-4;

class FamiliesTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    golden_ = model::ImportGoldenFamily(std::filesystem::path(FLOE_TEST_FAMILIES) / GetParam(),
                                        temp_ / "imported");
    ASSERT_TRUE(golden_.ok()) << golden_.status();
  }
  const model::Checkpoint& Imported() const { return golden_->checkpoint; }

  test::TempDir temp_;
  absl::StatusOr<model::GoldenFamily> golden_;
};

at::Tensor IdsOf(const std::vector<std::vector<int64_t>>& ids) {
  at::Tensor tensor =
      at::empty({static_cast<int64_t>(ids.size()), static_cast<int64_t>(ids[0].size())}, at::kLong);
  int64_t* to = tensor.data_ptr<int64_t>();
  for (const auto& row : ids) to = std::copy(row.begin(), row.end(), to);
  return tensor;
}

TEST_P(FamiliesTest, TheTrainerComputesTransformersLogits) {
  const at::NoGradGuard no_gradients;
  const Transformer transformer = Transformer::Load(Imported()).value();
  const at::Tensor logits = transformer.Logits(transformer.Hidden(IdsOf(golden_->ids)));
  const float* ours = logits.data_ptr<float>();
  double apart = 0;
  for (const auto& sequence : golden_->logits) {
    for (const auto& row : sequence) {
      for (const float wanted : row) {
        apart = std::max(apart, std::abs(static_cast<double>(*ours++) - wanted));
      }
    }
  }
  EXPECT_LT(apart, kTolerance);
}

// What is trained further goes out as it came in: the names, shapes and order of the family.
TEST_P(FamiliesTest, ExportGivesTheImportedNumbersBack) {
  const model::Checkpoint& imported = Imported();
  const Transformer transformer = Transformer::Load(imported).value();
  const auto tensors = transformer.Export();
  ASSERT_EQ(tensors.size(), model::TensorsOf(imported.blueprint()).size());
  for (const model::NamedTensor& named : tensors) {
    EXPECT_EQ(named.tensor.ToFloats(), imported.Tensor(named.name)->ToFloats()) << named.name;
  }
}

TEST_P(FamiliesTest, GradientsReachEveryParameter) {
  Transformer transformer = Transformer::Load(Imported()).value();
  transformer.Logits(transformer.Hidden(IdsOf(golden_->ids))).square().mean().backward();
  for (const Parameter& parameter : transformer.parameters()) {
    ASSERT_TRUE(parameter.value.grad().defined()) << parameter.name();
    EXPECT_GT(parameter.value.grad().abs().max().item<float>(), 0) << parameter.name();
  }
}

INSTANTIATE_TEST_SUITE_P(All, FamiliesTest,
                         testing::Values("qwen3", "llama", "qwen2", "gpt2", "llama3_scaled",
                                         "linear_scaled"),
                         [](const auto& family) { return std::string(family.param); });

}  // namespace
}  // namespace floe::trainer
