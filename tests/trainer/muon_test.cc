#include "trainer/internal/muon.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/trainer/tiny_model.h"
#include "trainer/internal/optimizer.h"
#include "trainer/internal/train_step.h"

namespace floe::trainer {
namespace {

class MuonTest : public testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    at::manual_seed(1);
  }
  static at::Tensor SingularValues(const at::Tensor& x) {
    return std::get<1>(at::linalg_svd(x, /*full_matrices=*/false));
  }
};

TEST_F(MuonTest, SingularValuesComeNearToOneAndDirectionsStay) {
  for (const auto& shape : {std::pair{24, 24}, {64, 16}, {16, 64}}) {
    const at::Tensor x = at::randn({shape.first, shape.second});
    const at::Tensor y = Orthogonalized(x);
    ASSERT_EQ(y.sizes(), x.sizes());
    const at::Tensor values = SingularValues(y);
    // The published coefficients do not settle at 1 but near it.
    EXPECT_LT(values.max().item<float>(), 1.3);
    // A square matrix of random numbers may have a singular value near 0, which is slow to rise.
    if (shape.first != shape.second) {
      EXPECT_GT(values.min().item<float>(), 0.6);
    }
    // The same singular vectors: u^T y v is diagonal.
    const auto [u, s, vh] = at::linalg_svd(x, false);
    const at::Tensor inner = at::mm(at::mm(u.t(), y), vh.t());
    EXPECT_LT((inner - inner.diag().diag()).abs().max().item<float>(), 2e-3);
  }
}

// x p(x^T x) acts on each singular value alone: the scalar recursion is the golden value.
TEST_F(MuonTest, EachSingularValueFollowsTheScalarPolynomial) {
  at::Tensor x = at::zeros({3, 3});
  const double values[] = {0.9, 0.3, 0.05};
  for (int i = 0; i < 3; ++i) x[i][i] = values[i];
  const at::Tensor y = Orthogonalized(x);
  const double norm = std::sqrt(0.9 * 0.9 + 0.3 * 0.3 + 0.05 * 0.05);
  for (int i = 0; i < 3; ++i) {
    double v = values[i] / norm;
    for (int k = 0; k < 5; ++k) {
      v = 3.4445 * v - 4.7750 * std::pow(v, 3) + 2.0315 * std::pow(v, 5);
    }
    EXPECT_NEAR(y[i][i].item<double>(), v, 1e-4) << i;
  }
}

TEST_F(MuonTest, TakesOneStepAsTheFormulaSays) {
  TrainSettings settings;
  settings.weight_decay = 0.5;
  Parameter parameter{at::randn({6, 3}).requires_grad_(), {{"a", 0, 4}, {"b", 4, 2}}};
  const at::Tensor before = parameter.value.detach().clone();
  const at::Tensor grad = at::randn({6, 3});
  parameter.value.mutable_grad() = grad.clone();
  Muon muon({&parameter}, settings);
  muon.Step(0.1);
  // The first momentum is 0.05 g, and Nesterov's look ahead 0.05 g + 0.95 * 0.05 g: as g, in
  // length.
  const at::Tensor kept = before * (1 - 0.1 * 0.5);
  const at::Tensor a =
      kept.narrow(0, 0, 4) - Orthogonalized(grad.narrow(0, 0, 4)) * (0.1 * std::sqrt(4.0 / 3.0));
  const at::Tensor b = kept.narrow(0, 4, 2) - Orthogonalized(grad.narrow(0, 4, 2)) * 0.1;
  EXPECT_LT((parameter.value - at::cat({a, b})).abs().max().item<float>(), 1e-5);
  EXPECT_NEAR(muon.State()[0].values[0], 0.05 * grad[0][0].item<float>(), 1e-6);
}

TEST_F(MuonTest, TakesTheMatricesInsideLayersAndLeavesTheRestToAdamW) {
  Transformer transformer = Transformer::Create(TinyBlueprint(), 1).value();
  TrainSettings settings;
  settings.optimizer = OptimizerKind::kMuon;
  Optimizer optimizer(transformer.parameters(), settings);
  size_t momenta = 0, second = 0;
  for (const StateTensor& tensor : optimizer.State()) {
    momenta += tensor.name.starts_with("m/") ? 1 : 0;
    second += tensor.name.starts_with("v/") ? 1 : 0;
  }
  EXPECT_EQ(momenta, transformer.parameters().size());
  EXPECT_EQ(momenta - second, 4u * 2u);  // qkv, output, gate and up, down of two layers
}

TEST_F(MuonTest, LearnsATinyBatchByHeartInEveryFamily) {
  for (const model::Family family : {model::Family::kQwen3, model::Family::kGpt2}) {
    const model::Blueprint dials = TinyBlueprint(family);
    Transformer transformer = Transformer::Create(dials, 1).value();
    TrainSettings settings;
    settings.weight_decay = 0;
    settings.optimizer = OptimizerKind::kMuon;
    Optimizer optimizer(transformer.parameters(), settings);
    const MicroBatch batch = {at::randint(dials.vocab_size, {2, 24}, at::kLong),
                              at::randint(dials.vocab_size, {48}, at::kLong)};
    double loss = 0;
    for (int64_t step = 1; step <= 100; ++step) {
      loss = AccumulateGradients(transformer, {batch});
      optimizer.Step(step, settings.learning_rate * 5, GradNorm(transformer.parameters()));
    }
    EXPECT_LT(loss, 0.1) << model::FamilyName(family);
  }
}

}  // namespace
}  // namespace floe::trainer
