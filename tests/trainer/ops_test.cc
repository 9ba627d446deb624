// Each operation against the same formula in LibTorch's own operations, values and gradients.
#include "trainer/internal/ops.h"

#include <gtest/gtest.h>

#include <cmath>

#include "trainer/internal/gpt2_ops.h"

namespace floe::trainer {
namespace {

at::Tensor Random(at::IntArrayRef shape) { return at::randn(shape).requires_grad_(); }

at::Tensor Copy(const at::Tensor& tensor) { return tensor.detach().clone().requires_grad_(); }

double Distance(const at::Tensor& a, const at::Tensor& b) {
  return (a.detach() - b.detach()).abs().max().item<double>();
}

// Compares outputs, and the gradients of `inputs` and `copies` for one random output gradient.
void ExpectSame(const at::Tensor& ours, const at::Tensor& reference,
                const std::vector<at::Tensor>& inputs, const std::vector<at::Tensor>& copies) {
  ASSERT_EQ(ours.sizes(), reference.sizes());
  EXPECT_LT(Distance(ours, reference), 1e-5);
  const at::Tensor upstream = at::randn(ours.sizes());
  (ours * upstream).sum().backward();
  (reference * upstream).sum().backward();
  for (size_t i = 0; i < inputs.size(); ++i) {
    ASSERT_TRUE(inputs[i].grad().defined()) << "input " << i;
    EXPECT_LT(Distance(inputs[i].grad(), copies[i].grad()), 2e-4) << "input " << i;
  }
}

at::Tensor NormReference(const at::Tensor& x, const at::Tensor& gain, double eps) {
  return x * (x.pow(2).mean(-1, true) + eps).rsqrt() * gain;
}

class OpsTest : public testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    at::manual_seed(1);
  }
};

TEST_F(OpsTest, RmsNorm) {
  for (const int64_t width : {3, 16, 37, 256}) {
    const at::Tensor x = Random({301, width}), gain = Random({width});
    const at::Tensor x2 = Copy(x), gain2 = Copy(gain);
    ExpectSame(RmsNorm(x, gain, 1e-3), NormReference(x2, gain2, 1e-3), {x, gain}, {x2, gain2});
  }
}

TEST_F(OpsTest, LayerNorm) {
  for (const int64_t width : {3, 16, 37, 256}) {
    const at::Tensor x = (at::randn({301, width}) + 2).requires_grad_();
    const at::Tensor gain = Random({width}), shift = Random({width});
    const at::Tensor x2 = Copy(x), gain2 = Copy(gain), shift2 = Copy(shift);
    ExpectSame(LayerNorm(x, gain, shift, 1e-3), at::layer_norm(x2, {width}, gain2, shift2, 1e-3),
               {x, gain, shift}, {x2, gain2, shift2});
  }
}

TEST_F(OpsTest, Gelu) {
  for (const int64_t width : {1, 19, 64}) {
    const at::Tensor x = at::randn({70, width}).mul_(3).requires_grad_(), copy = Copy(x);
    ExpectSame(Gelu(x), at::gelu(copy, "tanh"), {x}, {copy});
  }
  const at::Tensor extreme = at::tensor({-1000.0f, 1000.0f, -0.0f, 0.0f}).reshape({1, 4});
  EXPECT_TRUE(at::allclose(Gelu(extreme), at::tensor({0.0f, 1000.0f, 0.0f, 0.0f}).reshape({1, 4})));
}

TEST_F(OpsTest, SwiGlu) {
  for (const int64_t ffn : {1, 19, 64}) {
    const at::Tensor rows = at::randn({70, 2 * ffn}).mul_(3).requires_grad_(), copy = Copy(rows);
    const auto halves = copy.chunk(2, 1);
    ExpectSame(SwiGlu(rows), at::silu(halves[0]) * halves[1], {rows}, {copy});
  }
  const at::Tensor extreme = at::tensor({-1000.0f, 1000.0f, 1.0f, 1.0f}).reshape({1, 4});
  EXPECT_TRUE(at::allclose(SwiGlu(extreme), at::tensor({0.0f, 1000.0f}).reshape({1, 2})));
}

at::Tensor Rotated(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  const auto halves = x.chunk(2, -1);
  return at::cat({halves[0] * cos - halves[1] * sin, halves[1] * cos + halves[0] * sin}, -1);
}

void CheckSplitHeads(bool normed) {
  constexpr int64_t kBatch = 3, kSequence = 50, kHeads = 4, kKv = 2, kWidth = 10;
  const kernels::HeadLayout layout{kHeads, kKv, kWidth, kSequence};
  const at::Tensor rows = Random({kBatch * kSequence, layout.row_width()}), copy = Copy(rows);
  const at::Tensor angle = at::rand({kSequence, kWidth / 2}).mul_(6);
  HeadParameters parameters{.eps = 1e-4, .cos = angle.cos(), .sin = angle.sin()};
  std::vector<at::Tensor> inputs = {rows}, copies = {copy};
  if (normed) {
    parameters.q_gain = Random({kWidth});
    parameters.k_gain = Random({kWidth});
    inputs.insert(inputs.end(), {parameters.q_gain, parameters.k_gain});
    copies.insert(copies.end(), {Copy(parameters.q_gain), Copy(parameters.k_gain)});
  }
  const auto head = [&](int64_t first, int64_t count) {
    return copy.narrow(1, first * kWidth, count * kWidth)
        .reshape({kBatch, kSequence, count, kWidth})
        .transpose(1, 2);
  };
  at::Tensor q = head(0, kHeads), k = head(kHeads, kKv);
  if (normed) {
    q = NormReference(q, copies[1], 1e-4);
    k = NormReference(k, copies[2], 1e-4);
  }
  const Heads ours = SplitHeads(rows, layout, parameters);
  const auto flat = [](const at::Tensor& a, const at::Tensor& b, const at::Tensor& c) {
    return at::cat({a.reshape({-1}), b.reshape({-1}), c.reshape({-1})});
  };
  ExpectSame(flat(ours.q, ours.k, ours.v),
             flat(Rotated(q, parameters.cos, parameters.sin),
                  Rotated(k, parameters.cos, parameters.sin), head(kHeads + kKv, kKv)),
             inputs, copies);
}

TEST_F(OpsTest, SplitHeadsWithQkNorm) { CheckSplitHeads(true); }
TEST_F(OpsTest, SplitHeadsWithoutQkNorm) { CheckSplitHeads(false); }

TEST_F(OpsTest, CausalAttention) {
  constexpr int64_t kBatch = 2, kHeads = 4, kWidth = 12;
  for (const int64_t kv : {1, 2, 4}) {
    for (const int64_t sequence : {1, 7, 64, 65, 150}) {
      const Heads heads{Random({kBatch, kHeads, sequence, kWidth}),
                        Random({kBatch, kv, sequence, kWidth}),
                        Random({kBatch, kv, sequence, kWidth})};
      const at::Tensor q = Copy(heads.q), k = Copy(heads.k), v = Copy(heads.v);
      const at::Tensor mask = at::ones({sequence, sequence}, at::kBool).triu(1);
      const at::Tensor scores = at::matmul(q, k.repeat_interleave(kHeads / kv, 1).transpose(2, 3)) /
                                std::sqrt(static_cast<double>(kWidth));
      const at::Tensor p = at::softmax(scores.masked_fill(mask, -INFINITY), -1);
      const at::Tensor out = at::matmul(p, v.repeat_interleave(kHeads / kv, 1));
      ExpectSame(CausalAttention(heads),
                 out.transpose(1, 2).reshape({kBatch * sequence, kHeads * kWidth}),
                 {heads.q, heads.k, heads.v}, {q, k, v});
    }
  }
}

TEST_F(OpsTest, LinearCrossEntropy) {
  for (const int64_t vocab : {2, 33, 70000}) {  // the last needs several chunks of rows
    const at::Tensor hidden = Random({75, 8}), weight = Random({vocab, 8});
    const at::Tensor hidden2 = Copy(hidden), weight2 = Copy(weight);
    at::Tensor targets = at::randint(vocab, {75}, at::kLong);
    targets.narrow(0, 70, 5).fill_(-1);
    const at::Tensor reference = at::nll_loss(at::log_softmax(at::mm(hidden2, weight2.t()), -1),
                                              targets, {}, at::Reduction::Sum, -1) *
                                 0.01;
    const at::Tensor ours = LinearCrossEntropy(hidden, weight, targets, 0.01);
    ExpectSame(ours, reference, {hidden, weight}, {hidden2, weight2});
    const at::NoGradGuard no_grad;
    EXPECT_NEAR(LinearCrossEntropy(hidden, weight, targets, 0.01).item<double>(),
                reference.item<double>(), 1e-4);
  }
}

}  // namespace
}  // namespace floe::trainer
