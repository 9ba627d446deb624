// How passes are computed: by documents, with layers computed again, with bf16 products. And the
// product of small blocks under attention.
#include <gtest/gtest.h>

#include <cmath>
#include <mutex>
#include <set>
#include <thread>

#include "tests/trainer/tiny_model.h"
#include "trainer/internal/block_product.h"
#include "trainer/internal/row_tasks.h"
#include "trainer/internal/thread_replicas.h"
#include "trainer/internal/train_step.h"

namespace floe::trainer {
namespace {

constexpr int64_t kSeparator = 7;

class ExecutionTest : public testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    at::manual_seed(1);
  }
  static Transformer Make(const Execution& execution,
                          model::Family family = model::Family::kQwen3) {
    Transformer transformer = Transformer::Create(TinyBlueprint(family), 3).value();
    transformer.set_execution(execution);
    return transformer;
  }
  static MicroBatch RandomBatch(int64_t sequences, int64_t length) {
    const int64_t vocab = TinyBlueprint().vocab_size;
    return {at::randint(vocab, {sequences, length}, at::kLong),
            at::randint(vocab, {sequences * length}, at::kLong)};
  }
  // Three documents of 9, 25 and 14 tokens, the first two with their end; of other lengths in the
  // second sequence.
  static MicroBatch Packed() {
    MicroBatch batch = RandomBatch(2, 48);
    batch.ids.masked_fill_(batch.ids == kSeparator, kSeparator + 1);
    for (const int64_t at : {8, 33, 48 + 0, 48 + 47}) batch.ids.view({-1})[at] = kSeparator;
    return batch;
  }
  // Each document of Packed() in a sequence of its own.
  static std::vector<MicroBatch> Apart(const MicroBatch& packed) {
    std::vector<MicroBatch> documents;
    for (const auto& [first, end] :
         std::vector<std::pair<int64_t, int64_t>>{{0, 9}, {9, 34}, {34, 48}, {48, 49}, {49, 96}}) {
      documents.push_back({packed.ids.view({-1}).slice(0, first, end).view({1, -1}),
                           packed.targets.slice(0, first, end)});
    }
    return documents;
  }
};

TEST_F(ExecutionTest, PackedDocumentsLearnWhatTheyLearnApart) {
  const MicroBatch packed = Packed();
  for (const model::Family family : {model::Family::kQwen3, model::Family::kLlama}) {
    const Transformer together = Make({.separator = kSeparator}, family);
    const Transformer apart = Make({}, family), blind = Make({}, family);
    const double loss = AccumulateGradients(together, {packed});
    EXPECT_NEAR(loss, AccumulateGradients(apart, Apart(packed)), 1e-5);
    EXPECT_GT(std::abs(loss - AccumulateGradients(blind, {packed})), 1e-4)
        << "the mask changes nothing";
    for (size_t i = 0; i < together.parameters().size(); ++i) {
      const Parameter& parameter = together.parameters()[i];
      EXPECT_TRUE(
          at::allclose(parameter.value.grad(), apart.parameters()[i].value.grad(), 1e-4, 1e-7))
          << parameter.name();
    }
  }
}

TEST_F(ExecutionTest, WhatStandsInOtherDocumentsChangesNothing) {
  const at::NoGradGuard no_grad;
  const Transformer transformer = Make({.separator = kSeparator});
  const at::Tensor ids = Packed().ids.narrow(0, 0, 1), changed = ids.clone();
  changed.narrow(1, 0, 33).fill_(kSeparator + 2);  // the two documents before, their end but one
  const at::Tensor last = transformer.Hidden(ids).narrow(0, 34, 14);
  EXPECT_TRUE(at::allclose(last, transformer.Hidden(changed).narrow(0, 34, 14), 1e-5, 1e-6));
}

TEST_F(ExecutionTest, LayersComputedAgainGiveTheSameBits) {
  const MicroBatch first = Packed(), second = RandomBatch(2, 30);
  for (const model::Family family : {model::Family::kQwen3, model::Family::kGpt2}) {
    const Transformer kept = Make({.separator = kSeparator}, family);
    const Transformer again =
        Make({.separator = kSeparator, .activation_checkpointing = true}, family);
    EXPECT_EQ(AccumulateGradients(kept, {first, second}),
              AccumulateGradients(again, {first, second}));
    for (size_t i = 0; i < kept.parameters().size(); ++i) {
      EXPECT_TRUE(at::equal(kept.parameters()[i].value.grad(), again.parameters()[i].value.grad()))
          << kept.parameters()[i].name();
    }
  }
}

// LibTorch's loop is a template: it runs on one thread where it is compiled without OpenMP.
TEST_F(ExecutionTest, RowsAreSpreadOverTheThreads) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "built without OpenMP, whose threads tsan does not understand";
#endif
  at::set_num_threads(2);
  std::mutex mutex;
  std::set<std::thread::id> threads;
  int64_t rows = 0;
  ForRows(2 * kRowGrain, [&](int64_t begin, int64_t end) {
    const std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
    rows += end - begin;
  });
  EXPECT_EQ(threads.size(), 2u);
  EXPECT_EQ(rows, 2 * kRowGrain);
}

TEST_F(ExecutionTest, EachThreadsReplicaComputesItsLayersAgain) {
  at::set_num_threads(2);
  const MicroBatch batch = RandomBatch(4, 30);
  Transformer kept = Make({}), again = Make({.activation_checkpointing = true});
  ThreadReplicas kept_replicas(kept, 2), again_replicas(again, 2);
  EXPECT_EQ(kept_replicas.AccumulateGradients({batch}),
            again_replicas.AccumulateGradients({batch}));
  for (size_t i = 0; i < kept.parameters().size(); ++i) {
    EXPECT_TRUE(at::equal(kept.parameters()[i].value.grad(), again.parameters()[i].value.grad()));
  }
}

TEST_F(ExecutionTest, Bf16ProductsAreNearToF32AndNotTheSame) {
  const MicroBatch batch = RandomBatch(2, 24);
  for (const model::Family family : {model::Family::kQwen3, model::Family::kGpt2}) {
    const Transformer whole = Make({}, family), half = Make({.bf16 = true}, family);
    EXPECT_NEAR(AccumulateGradients(whole, {batch}), AccumulateGradients(half, {batch}), 2e-2);
    for (size_t i = 0; i < whole.parameters().size(); ++i) {
      const at::Tensor a = whole.parameters()[i].value.grad();
      const at::Tensor b = half.parameters()[i].value.grad();
      ASSERT_EQ(b.scalar_type(), at::kFloat);
      EXPECT_LT((a - b).norm().item<double>(), 0.05 * a.norm().item<double>() + 1e-6)
          << whole.parameters()[i].name();
    }
    EXPECT_FALSE(at::equal(whole.parameters()[3].value.grad(), half.parameters()[3].value.grad()));
  }
}

TEST_F(ExecutionTest, BlockProductsOfAllShapesAndOrders) {
  for (const int64_t m : {1, 5, 6, 17, 24}) {
    for (const int64_t n : {1, 7, 8, 16, 24, 33, 47, 64}) {
      for (const int64_t k : {1, 9, 64}) {
        const at::Tensor a = at::randn({m, k}), b = at::randn({k, n}), c = at::randn({m, n});
        const at::Tensor turned = a.t().contiguous(), sum = c.clone(), product = c.clone();
        BlockProduct(m, n, k, {a.data_ptr<float>(), k}, b.data_ptr<float>(), n, false,
                     product.data_ptr<float>(), n);
        BlockProduct(m, n, k, {turned.data_ptr<float>(), 1, m}, b.data_ptr<float>(), n, true,
                     sum.data_ptr<float>(), n);
        EXPECT_TRUE(at::allclose(product, at::mm(a, b), 1e-4, 1e-5)) << m << " " << n << " " << k;
        EXPECT_TRUE(at::allclose(sum, at::addmm(c, a, b), 1e-4, 1e-5)) << m << " " << n << " " << k;
      }
    }
  }
}

TEST_F(ExecutionTest, BlocksOfAllShapesAreTurned) {
  for (const int64_t rows : {1, 3, 4, 6, 24}) {
    for (const int64_t columns : {1, 4, 5, 64}) {
      const at::Tensor from = at::randn({rows, columns}), to = at::zeros({columns, rows + 3});
      TurnBlock(rows, columns, from.data_ptr<float>(), to.data_ptr<float>(), rows + 3);
      EXPECT_TRUE(at::equal(to.narrow(1, 0, rows), from.t())) << rows << " " << columns;
      EXPECT_EQ(to.narrow(1, rows, 3).abs().sum().item<float>(), 0) << rows << " " << columns;
    }
  }
}

}  // namespace
}  // namespace floe::trainer
