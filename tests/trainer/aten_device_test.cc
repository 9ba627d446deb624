// A step on another device than the CPU: LibTorch's meta device, which has shapes and no memory.
// What stays behind on the CPU cannot be computed with the rest, and a kernel would find no
// numbers.
#include <ATen/ExpandUtils.h>
#include <gtest/gtest.h>
#include <torch/library.h>

#include <array>
#include <tuple>

#include "tests/trainer/tiny_model.h"
#include "trainer/internal/optimizer.h"
#include "trainer/internal/train_step.h"

#if TORCH_VERSION_MAJOR < 2  // later ones have all of it
namespace {

using Optional = c10::optional<at::Tensor>;
using Three = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

at::Tensor IndexSelect(const at::Tensor& self, int64_t dim, const at::Tensor& index) {
  std::vector<int64_t> sizes = self.sizes().vec();
  sizes[static_cast<size_t>(dim)] = index.numel();
  return at::empty(sizes, self.options());
}
at::Tensor EmbeddingBackward(const at::Tensor& grad, const at::Tensor&, int64_t rows, int64_t,
                             bool) {
  return at::empty({rows, grad.size(-1)}, grad.options());
}
at::Tensor& LogicalNot(const at::Tensor& a, at::Tensor& out) {
  out.resize_(a.sizes());
  return out;
}
at::Tensor& LogicalAnd(const at::Tensor& a, const at::Tensor& b, at::Tensor& out) {
  out.resize_(at::infer_size(a.sizes(), b.sizes()));
  return out;
}
Three LayerNorm(const at::Tensor& x, at::IntArrayRef, const Optional&, const Optional&, double) {
  const at::Tensor moments = at::empty({x.size(0), 1}, x.options());
  return {at::empty_like(x), moments, moments};
}
Three LayerNormBackward(const at::Tensor&, const at::Tensor& x, at::IntArrayRef, const at::Tensor&,
                        const at::Tensor&, const Optional& gain, const Optional& shift,
                        std::array<bool, 3>) {
  return {at::empty_like(x), at::empty_like(*gain), at::empty_like(*shift)};
}

}  // namespace

TORCH_LIBRARY_IMPL(aten, Meta, library) {
  library.impl("index_select", IndexSelect);
  library.impl("embedding_dense_backward", EmbeddingBackward);
  library.impl("logical_not.out", LogicalNot);
  library.impl("logical_and.out", LogicalAnd);
  library.impl("native_layer_norm", LayerNorm);
  library.impl("native_layer_norm_backward", LayerNormBackward);
}
#endif

namespace floe::trainer {
namespace {

class AtenDeviceTest : public testing::TestWithParam<model::Family> {};

TEST_P(AtenDeviceTest, NothingOfAStepStaysBehind) {
  const at::Tensor ids = at::ones({2, 40}, at::kLong), targets = at::ones({80}, at::kLong);
  for (const OptimizerKind kind : {OptimizerKind::kAdamW, OptimizerKind::kMuon}) {
    Transformer away = Transformer::Create(TinyBlueprint(GetParam()), 3).value();
    away.set_execution({.separator = 7, .activation_checkpointing = kind == OptimizerKind::kMuon});
    away.MoveTo(at::kMeta);
    Optimizer optimizer(away.parameters(), {.learning_rate = 0.01, .optimizer = kind});
    const at::Tensor hidden = away.Hidden(ids);
    EXPECT_TRUE(hidden.is_meta());
    EXPECT_TRUE(LinearCrossEntropy(hidden, away.head(), targets, 1).is_meta());
    (hidden.sum() + away.Logits(hidden).sum()).backward();
    for (const Parameter& parameter : away.parameters()) {
      ASSERT_TRUE(parameter.value.grad().defined()) << parameter.name();
      EXPECT_TRUE(parameter.value.grad().is_meta()) << parameter.name();
    }
    optimizer.Step(1, 0.01, 1.0);
  }
}

INSTANTIATE_TEST_SUITE_P(All, AtenDeviceTest,
                         testing::Values(model::Family::kQwen3, model::Family::kLlama,
                                         model::Family::kQwen2, model::Family::kGpt2),
                         [](const auto& family) {
                           return std::string(model::FamilyName(family.param));
                         });

}  // namespace
}  // namespace floe::trainer
