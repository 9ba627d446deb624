#include "trainer/internal/linear.h"

#include <gtest/gtest.h>

#include "trainer/internal/torch_compat.h"

namespace floe::trainer {
namespace {

struct Parts {
  at::Tensor base, x, weight, bias;

  std::vector<at::Tensor> all() const { return {base, x, weight, bias}; }
};

Parts RandomParts(bool turned) {
  at::manual_seed(7);
  const int64_t rows = 150, in = 37, out = 53;
  Parts parts{at::randn({rows, out}), at::randn({rows, in}),
              turned ? at::randn({in, out}) : at::randn({out, in}), at::randn({out})};
  for (at::Tensor part : parts.all()) part.requires_grad_();
  return parts;
}

// The same by LibTorch's operators.
at::Tensor Expected(const Parts& parts, bool turned, bool based, bool biased) {
  at::Tensor y = at::mm(parts.x, turned ? parts.weight : parts.weight.t());
  if (biased) y = y + parts.bias;
  return based ? y + parts.base : y;
}

TEST(Linear, EqualsLibTorchForwardAndBackward) {
  for (int way = 0; way < 8; ++way) {
    const bool turned = (way & 1) != 0, based = (way & 2) != 0, biased = (way & 4) != 0;
    const Parts ours = RandomParts(turned), theirs = RandomParts(turned);
    const LinearLayer layer{ours.weight, biased ? ours.bias : at::Tensor(), turned};
    const at::Tensor y = based ? AddLinear(ours.base, ours.x, layer) : ApplyLinear(ours.x, layer);
    const at::Tensor expected = Expected(theirs, turned, based, biased);
    EXPECT_TRUE(at::allclose(y, expected, 1e-5, 1e-5)) << "way " << way;
    (y * y).sum().backward();
    (expected * expected).sum().backward();
    for (size_t i = 0; i < ours.all().size(); ++i) {
      const at::Tensor grad = ours.all()[i].grad(), want = theirs.all()[i].grad();
      ASSERT_EQ(grad.defined(), want.defined()) << "way " << way << ", part " << i;
      if (want.defined()) {
        EXPECT_TRUE(at::allclose(grad, want, 1e-4, 1e-3)) << "way " << way << ", part " << i;
      }
    }
  }
}

TEST(Linear, TakesActivationsThatLieTurned) {
  const Parts parts = RandomParts(false);
  const at::Tensor x = parts.x.detach().t().contiguous().t();
  ASSERT_FALSE(x.is_contiguous());
  EXPECT_TRUE(at::equal(ApplyLinear(x, {parts.weight, {}, false}),
                        ApplyLinear(parts.x, {parts.weight, {}, false})));
}

}  // namespace
}  // namespace floe::trainer
