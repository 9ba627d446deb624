#include "trainer/internal/train_step.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/temp_dir.h"
#include "tests/trainer/tiny_model.h"
#include "trainer/internal/optimizer.h"
#include "trainer/internal/thread_replicas.h"

namespace floe::trainer {
namespace {

class TrainStepTest : public testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    at::manual_seed(1);
  }
  MicroBatch RandomBatch(int64_t sequences, int64_t length) {
    const int64_t vocab = TinyBlueprint().vocab_size;
    return {at::randint(vocab, {sequences, length}, at::kLong),
            at::randint(vocab, {sequences * length}, at::kLong)};
  }
};

TEST_F(TrainStepTest, EveryTokenWeighsTheSameWhereverItStands) {
  // Two classes; row i of `hidden` scores (x, 0), so the loss of class 0 is log(1 + exp(-x)).
  const auto score_for = [](double loss) { return -std::log(std::exp(loss) - 1.0); };
  const at::Tensor weight = at::tensor({1.0f, 0.0f}).reshape({2, 1});
  at::Tensor ones = at::full({2, 1}, score_for(1.0)).to(at::kFloat).requires_grad_();
  at::Tensor twos = at::full({8, 1}, score_for(2.0)).to(at::kFloat).requires_grad_();
  const double loss = AccumulateGradients({2, 8}, [&](size_t i, double scale) {
    const at::Tensor& hidden = i == 0 ? ones : twos;
    return LinearCrossEntropy(hidden, weight, at::zeros({hidden.size(0)}, at::kLong), scale);
  });
  EXPECT_NEAR(loss, 1.8, 1e-6);  // a mean of means would be 1.5
  // d loss / d x = -(1 - exp(-loss of the token)) / 10 for each of the ten tokens.
  EXPECT_NEAR(ones.grad()[0][0].item<double>(), -(1 - std::exp(-1.0)) / 10, 1e-6);
  EXPECT_NEAR(twos.grad()[7][0].item<double>(), -(1 - std::exp(-2.0)) / 10, 1e-6);
}

TEST_F(TrainStepTest, OneBatchOfEightIsEightBatchesOfOne) {
  const MicroBatch whole = RandomBatch(8, 20);
  whole.targets.narrow(0, 45, 30).fill_(-1);  // sequences of different weight
  std::vector<MicroBatch> parts;
  for (int64_t i = 0; i < 8; ++i) {
    parts.push_back({whole.ids.narrow(0, i, 1), whole.targets.narrow(0, i * 20, 20)});
  }
  const Transformer together = Transformer::Create(TinyBlueprint(), 3).value();
  const Transformer apart = Transformer::Create(TinyBlueprint(), 3).value();
  EXPECT_NEAR(AccumulateGradients(together, {whole}), AccumulateGradients(apart, parts), 1e-5);
  for (size_t i = 0; i < together.parameters().size(); ++i) {
    const at::Tensor a = together.parameters()[i].value.grad();
    const at::Tensor b = apart.parameters()[i].value.grad();
    EXPECT_TRUE(at::allclose(a, b, 1e-4, 1e-7)) << together.parameters()[i].name();
  }
}

TEST_F(TrainStepTest, ThreadsWithTheirOwnSequencesMakeTheGradientOfAllOfThem) {
  const std::vector<MicroBatch> batches = {RandomBatch(5, 20), RandomBatch(5, 20)};
  batches[0].targets.narrow(0, 0, 45).fill_(-1);  // the first thread's count nothing
  for (const int replicas_count : {2, 3}) {
    at::set_num_threads(2);
    const Transformer alone = Transformer::Create(TinyBlueprint(), 3).value();
    Transformer spread = Transformer::Create(TinyBlueprint(), 3).value();
    ThreadReplicas replicas(spread, replicas_count);
    double loss = 0;
    std::vector<at::Tensor> first;
    for (int round = 0; round < 2; ++round) {
      for (Parameter& parameter : spread.parameters()) parameter.value.mutable_grad().reset();
      loss = replicas.AccumulateGradients(batches);
      for (size_t i = 0; i < spread.parameters().size(); ++i) {
        const at::Tensor grad = spread.parameters()[i].value.grad();
        if (round == 0) first.push_back(grad);
        EXPECT_TRUE(at::equal(grad, first[i])) << spread.parameters()[i].name();
      }
    }
    EXPECT_NEAR(loss, AccumulateGradients(alone, batches), 1e-5);
    for (size_t i = 0; i < alone.parameters().size(); ++i) {
      const at::Tensor a = alone.parameters()[i].value.grad();
      EXPECT_TRUE(at::allclose(a, first[i], 1e-4, 1e-7)) << alone.parameters()[i].name();
    }
  }
}

TEST_F(TrainStepTest, ReplicasAreForSmallModelsWithWorkForEachThread) {
  EXPECT_TRUE(ReplicasPay(800'000, 12, 2));
  EXPECT_TRUE(ReplicasPay(10'800'000, 9, 2));
  EXPECT_FALSE(ReplicasPay(800'000, 12, 1));
  EXPECT_FALSE(ReplicasPay(800'000, 3, 2));  // one would wait for the other
  EXPECT_FALSE(ReplicasPay(800'000, 1, 2));
  EXPECT_FALSE(ReplicasPay(1'000'000'000, 12, 2));  // 8 GB of gradients
  EXPECT_FALSE(ReplicasPay(10'800'000, 64, 32));
}

TEST_F(TrainStepTest, LearnsATinyBatchByHeart) {
  Transformer transformer = Transformer::Create(TinyBlueprint(), 1).value();
  TrainSettings settings;
  settings.weight_decay = 0;
  Optimizer optimizer(transformer.parameters(), settings);
  const MicroBatch batch = RandomBatch(2, 24);
  double loss = 0;
  for (int64_t step = 1; step <= 150; ++step) {
    loss = AccumulateGradients(transformer, {batch});
    optimizer.Step(step, 0.01, GradNorm(transformer.parameters()));
  }
  EXPECT_LT(loss, 0.05);
}

TEST_F(TrainStepTest, ClipsTheGlobalNorm) {
  Transformer clipped = Transformer::Create(TinyBlueprint(), 1).value();
  TrainSettings settings;
  settings.grad_clip = 0.01;
  Optimizer optimizer(clipped.parameters(), settings);
  AccumulateGradients(clipped, {RandomBatch(2, 24)});
  double squares = 0;
  for (const Parameter& parameter : clipped.parameters()) {
    squares += parameter.value.grad().pow(2).sum().item<double>();
  }
  const double norm = GradNorm(clipped.parameters());
  EXPECT_NEAR(norm, std::sqrt(squares), 1e-4 * norm);
  ASSERT_GT(norm, settings.grad_clip);
  const at::Tensor grad = clipped.parameters().front().value.grad().clone();
  optimizer.Step(1, 1e-3, norm);
  // The first moment after one step is (1 - beta1) * clipped gradient.
  const std::span<const float> m = optimizer.State().front().values;
  const at::Tensor expected = grad * ((1 - settings.beta1) * settings.grad_clip / norm);
  for (int64_t i = 0; i < grad.numel(); i += 97) {
    EXPECT_NEAR(m[static_cast<size_t>(i)], expected.reshape({-1})[i].item<float>(), 1e-9);
  }
}

TEST_F(TrainStepTest, HeldOutLossIsTheMeanOverAllTokensUpToTheLimit) {
  const test::TempDir folder;
  auto writer = TokenFileWriter::Create(folder / "a.tokens", 403).value();
  std::vector<int32_t> ids(131);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i * 37 % 403);
  ASSERT_TRUE(writer.Append(ids).ok());
  ASSERT_TRUE(writer.Finish().ok());
  const TokenFile tokens = TokenFile::Open(folder / "a.tokens").value();
  const Transformer transformer = Transformer::Create(TinyBlueprint(), 1).value();

  const auto by_hand = [&](int64_t last) {
    double sum = 0;
    for (int64_t first = 0; first < last; first += 20) {
      const int64_t count = std::min<int64_t>(20, last - first);
      std::vector<int64_t> window(static_cast<size_t>(count) + 1);
      tokens.Read(first, count + 1, window.data());
      const MicroBatch batch = MakeMicroBatch({window.begin(), window.end() - 1},
                                              {window.begin() + 1, window.end()}, count);
      sum += LinearCrossEntropy(transformer.Hidden(batch.ids), transformer.head(), batch.targets, 1)
                 .item<double>();
    }
    return sum / static_cast<double>(last);
  };
  EXPECT_NEAR(EvaluateLoss(transformer, tokens, 20, 4, 1000), by_hand(130), 1e-5);
  EXPECT_NEAR(EvaluateLoss(transformer, tokens, 20, 4, 50), by_hand(50), 1e-5);
}

}  // namespace
}  // namespace floe::trainer
