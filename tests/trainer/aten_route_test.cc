// LibTorch's operators beside the trainer's kernels: on the CPU, where both compute; and on
// LibTorch's meta device, which has shapes and no numbers, and nothing that a kernel could read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "tests/trainer/pretrainer_fixture.h"
#include "trainer/internal/aten_ops.h"
#include "trainer/internal/optimizer.h"
#include "trainer/internal/route.h"
#include "trainer/internal/train_step.h"

namespace floe::trainer {
namespace {

using testing::Contains;
using testing::HasSubstr;

constexpr int64_t kSeparator = 7;

// While it lives this thread computes as on a device.
class ByAten {
  const c10::DebugInfoGuard guard_{c10::DebugInfoKind::TEST_INFO,
                                   std::make_shared<c10::DebugInfoBase>()};
};

bool Near(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).norm().item<double>() <= 1e-5 * b.norm().item<double>() + 1e-8;
}

MicroBatch RandomBatch(int64_t sequences, int64_t length) {
  const int64_t vocab = TinyBlueprint().vocab_size;
  MicroBatch batch{at::randint(vocab, {sequences, length}, at::kLong),
                   at::randint(vocab, {sequences * length}, at::kLong)};
  batch.ids.view({-1}).slice(0, 5, {}, 11).fill_(kSeparator);
  batch.targets.narrow(0, 3, 2).fill_(-1);
  return batch;
}

class AtenFamilyTest : public testing::TestWithParam<model::Family> {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    at::manual_seed(1);
  }
  static Transformer Make(const Execution& execution) {
    Transformer transformer = Transformer::Create(TinyBlueprint(GetParam()), 3).value();
    transformer.set_execution(execution);
    // From where biases and gains are of one value all that touches them looks alike.
    const at::NoGradGuard no_grad;
    at::manual_seed(2);
    for (Parameter& parameter : transformer.parameters()) {
      parameter.value.add_(at::randn_like(parameter.value), 0.05);
    }
    return transformer;
  }
};

TEST_P(AtenFamilyTest, LossAndGradientsAreTheKernels) {
  const std::vector<MicroBatch> batches = {RandomBatch(2, 40), RandomBatch(1, 17)};
  for (const Execution& execution : std::vector<Execution>{
           {}, {.separator = kSeparator}, {.activation_checkpointing = true}, {.bf16 = true}}) {
    Transformer kernels = Make(execution), aten = Make(execution);
    const double loss = AccumulateGradients(kernels, batches);
    {
      const ByAten by_aten;
      EXPECT_NEAR(AccumulateGradients(aten, batches), loss, execution.bf16 ? 1e-4 : 1e-5);
    }
    for (size_t i = 0; i < kernels.parameters().size(); ++i) {
      const at::Tensor& wanted = kernels.parameters()[i].value.grad();
      const at::Tensor& grad = aten.parameters()[i].value.grad();
      // Roundings to bf16 fall apart where what is rounded differs in its last bits.
      const double most = execution.bf16 ? 1e-2 : 2e-5;
      EXPECT_LT((grad - wanted).norm().item<double>(), most * wanted.norm().item<double>())
          << kernels.parameters()[i].name();
    }
    EXPECT_NEAR(
        GradNorm(kernels.parameters()),
        [&] {
          const ByAten by_aten;
          return GradNorm(kernels.parameters());
        }(),
        1e-6);
  }
}

// Three steps, by which the second moments and the momenta of the first have told.
TEST_P(AtenFamilyTest, OptimizersStepAsTheKernelsDo) {
  const MicroBatch batch = RandomBatch(2, 40);
  for (const OptimizerKind kind : {OptimizerKind::kAdamW, OptimizerKind::kMuon}) {
    const TrainSettings settings{.learning_rate = 0.01, .optimizer = kind};
    const Transformer before = Make({});
    Transformer kernels = Make({}), aten = Make({});
    Optimizer by_kernels(kernels.parameters(), settings), other(aten.parameters(), settings);
    for (int64_t step = 1; step <= 3; ++step) {
      AccumulateGradients(kernels, {batch});
      for (size_t i = 0; i < kernels.parameters().size(); ++i) {
        aten.parameters()[i].value.mutable_grad() = kernels.parameters()[i].value.grad().clone();
      }
      by_kernels.Step(step, 0.01, 3.0);
      const ByAten by_aten;
      other.Step(step, 0.01, 3.0);
    }
    for (size_t i = 0; i < kernels.parameters().size(); ++i) {
      const at::Tensor& wanted = kernels.parameters()[i].value;
      EXPECT_TRUE(Near(aten.parameters()[i].value, wanted)) << kernels.parameters()[i].name();
      EXPECT_FALSE(Near(before.parameters()[i].value, wanted)) << "it stood still";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, AtenFamilyTest,
                         testing::Values(model::Family::kQwen3, model::Family::kLlama,
                                         model::Family::kQwen2, model::Family::kGpt2),
                         [](const auto& family) {
                           return std::string(model::FamilyName(family.param));
                         });

TEST(AtenRouteTest, OperationsGoByTheDeviceAlone) {
  const at::Tensor x = at::ones({2, 4}).requires_grad_(), gain = at::ones({4});
  EXPECT_TRUE(ByKernels(x));
  EXPECT_FALSE(ByKernels(x.detach().to(at::kMeta)));
  const std::string kernels = RmsNorm(x, gain, 1e-6).grad_fn()->name();
  const ByAten by_aten;
  EXPECT_EQ(RmsNorm(x, gain, 1e-6).grad_fn()->name(), "MulBackward0");
  EXPECT_THAT(kernels, HasSubstr("RmsNormFunction"));
}

// More rows than logits are held at once.
TEST(AtenRouteTest, ALossOfSeveralChunks) {
  at::manual_seed(1);
  constexpr int64_t kVocab = 70000, kRows = 600, kWidth = 8;
  const auto compute = [&](bool by_aten) {
    at::manual_seed(2);
    const at::Tensor hidden = at::randn({kRows, kWidth}).requires_grad_();
    const at::Tensor weight = at::randn({kVocab, kWidth}).requires_grad_();
    at::Tensor targets = at::randint(kVocab, {kRows}, at::kLong);
    targets.narrow(0, kRows - 5, 5).fill_(-1);
    const auto guard = by_aten ? std::make_unique<ByAten>() : nullptr;
    const at::Tensor loss = LinearCrossEntropy(hidden, weight, targets, 0.25);
    (loss * 2).backward();
    return std::vector<at::Tensor>{loss.detach(), hidden.grad(), weight.grad()};
  };
  const std::vector<at::Tensor> kernels = compute(false), aten = compute(true);
  for (size_t i = 0; i < kernels.size(); ++i) EXPECT_TRUE(Near(aten[i], kernels[i])) << i;
}

class AtenRunTest : public PretrainerTest {
 protected:
  void SetUp() override {
    PretrainerTest::SetUp();
    options_.settings.steps = 40;
    options_.settings.optimizer = OptimizerKind::kMuon;
    options_.settings.checkpoint_interval = 10;
  }
  // What is reported from the newest state on to the end.
  std::vector<TrainProgress> Rest(const std::string& name) {
    Recorder recorder;
    const auto outcome = Make(name)->Run(recorder, {});
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    return recorder.reports;
  }
  static void ExpectSameCurve(const std::vector<TrainProgress>& some,
                              const std::vector<TrainProgress>& whole) {
    ASSERT_FALSE(some.empty());
    for (const TrainProgress& one : some) {
      const TrainProgress& wanted = whole.at(static_cast<size_t>(one.step - 1));
      EXPECT_EQ(one.step, wanted.step);
      EXPECT_NEAR(one.loss, wanted.loss, 2e-4) << "step " << one.step;
      EXPECT_NEAR(*one.held_out_loss, *wanted.held_out_loss, 2e-4) << "step " << one.step;
    }
  }
};

TEST_F(AtenRunTest, TheCurveIsTheKernelsAlsoWhereARunGoesOnTheOtherWay) {
  const std::vector<TrainProgress> whole = Rest("kernels");
  ASSERT_EQ(whole.size(), 40u);
  EXPECT_LT(whole.back().loss, whole.front().loss - 1) << "it learns";
  {
    const ByAten by_aten;
    const std::vector<TrainProgress> aten = Rest("aten");
    ASSERT_EQ(aten.size(), 40u);
    ExpectSameCurve(aten, whole);
    bool differs = false;
    for (size_t i = 0; i < whole.size(); ++i) differs |= aten[i].loss != whole[i].loss;
    EXPECT_TRUE(differs) << "both went the same way";
  }
  Recorder first, second;
  {
    const ByAten by_aten;
    EXPECT_EQ(RunUntil(10, "between", first).code(), absl::StatusCode::kCancelled);
  }
  EXPECT_EQ(RunUntil(20, "between", second).code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(second.lines, Contains("resumed at step 10"));
  ExpectSameCurve(second.reports, whole);
  const ByAten by_aten;
  const std::vector<TrainProgress> rest = Rest("between");
  EXPECT_EQ(rest.front().step, 21);
  ExpectSameCurve(rest, whole);
}

}  // namespace
}  // namespace floe::trainer
