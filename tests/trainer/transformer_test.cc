#include "trainer/internal/transformer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "inference/engine/cpu_engine.h"
#include "tests/support/temp_dir.h"
#include "tests/trainer/tiny_model.h"
#include "trainer/internal/optimizer.h"
#include "trainer/internal/train_step.h"

namespace floe::trainer {
namespace {

using testing::HasSubstr;

class TransformerTest : public testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    at::manual_seed(1);
  }
  at::Tensor RandomIds(const model::Blueprint& dials, int64_t batch, int64_t sequence) {
    return at::randint(dials.vocab_size, {batch, sequence}, at::kLong);
  }
};

TEST_F(TransformerTest, ShapesFollowTheBlueprint) {
  const model::Blueprint dials = TinyBlueprint();
  const Transformer transformer = Transformer::Create(dials, 1).value();
  const at::Tensor hidden = transformer.Hidden(RandomIds(dials, 3, 7));
  EXPECT_EQ(hidden.sizes(), at::IntArrayRef({21, dials.hidden_size}));
  EXPECT_EQ(transformer.Logits(hidden).sizes(), at::IntArrayRef({21, dials.vocab_size}));
  EXPECT_THROW(transformer.Hidden(RandomIds(dials, 1, dials.context + 1)), c10::Error);
}

TEST_F(TransformerTest, StartsAtTheLossOfAGuess) {
  const model::Blueprint dials = TinyBlueprint();
  const Transformer transformer = Transformer::Create(dials, 1).value();
  const at::Tensor hidden = transformer.Hidden(RandomIds(dials, 8, 32));
  const double loss = LinearCrossEntropy(hidden, transformer.head(),
                                         RandomIds(dials, 1, 256).reshape({-1}), 1.0 / 256)
                          .item<double>();
  EXPECT_NEAR(loss, std::log(static_cast<double>(dials.vocab_size)), 0.05);
}

TEST_F(TransformerTest, WeightsStartAsTheRecipeSays) {
  const model::Blueprint dials = TinyBlueprint();
  Transformer transformer = Transformer::Create(dials, 1).value();
  for (const model::NamedTensor& named : transformer.Export()) {
    const std::vector<float> values = named.tensor.ToFloats();
    double squares = 0;
    for (const float value : values) squares += value * value;
    const double deviation = std::sqrt(squares / static_cast<double>(values.size()));
    const bool norm = named.name.find("norm") != std::string::npos;
    const bool residual = named.name.find("o_proj") != std::string::npos ||
                          named.name.find("down_proj") != std::string::npos;
    const double expected = norm ? 1.0 : residual ? 0.02 / std::sqrt(2.0 * 2) : 0.02;
    EXPECT_NEAR(deviation, expected, norm ? 0 : 0.1 * expected) << named.name;
  }
}

TEST_F(TransformerTest, WeightsAreAFunctionOfTheSeed) {
  const Transformer a = Transformer::Create(TinyBlueprint(), 1).value();
  const Transformer b = Transformer::Create(TinyBlueprint(), 1).value();
  const Transformer c = Transformer::Create(TinyBlueprint(), 2).value();
  EXPECT_TRUE(at::equal(a.head(), b.head()));
  EXPECT_FALSE(at::equal(a.head(), c.head()));
}

TEST_F(TransformerTest, OnlyMatricesDecay) {
  for (const model::Family family : {model::Family::kQwen3, model::Family::kQwen2}) {
    Transformer transformer = Transformer::Create(TinyBlueprint(family), 1).value();
    for (const Parameter& parameter : transformer.parameters()) {
      const bool matrix = parameter.name().find("norm") == std::string::npos &&
                          parameter.name().find("bias") == std::string::npos;
      EXPECT_EQ(parameter.decays, matrix) << parameter.name();
    }
    // With gradients of zero, decay is all that moves a parameter.
    TrainSettings settings;
    settings.weight_decay = 0.5;
    Optimizer optimizer(transformer.parameters(), settings);
    std::vector<at::Tensor> before;
    for (Parameter& parameter : transformer.parameters()) {
      before.push_back(parameter.value.detach().clone());
      parameter.value.mutable_grad() = at::zeros_like(parameter.value);
    }
    optimizer.Step(1, 0.1, 0);
    for (size_t i = 0; i < before.size(); ++i) {
      const Parameter& parameter = transformer.parameters()[i];
      const double kept = parameter.decays ? 1 - 0.1 * 0.5 : 1.0;
      EXPECT_TRUE(at::allclose(parameter.value, before[i] * kept)) << parameter.name();
    }
  }
}

TEST_F(TransformerTest, ALaterTokenChangesNoEarlierLogits) {
  const model::Blueprint dials = TinyBlueprint();
  const Transformer transformer = Transformer::Create(dials, 1).value();
  at::Tensor ids = RandomIds(dials, 1, 20);
  const at::Tensor before = transformer.Hidden(ids);
  ids[0][12] = (ids[0][12].item<int64_t>() + 1) % dials.vocab_size;
  const at::Tensor after = transformer.Hidden(ids);
  EXPECT_TRUE(at::equal(before.narrow(0, 0, 12), after.narrow(0, 0, 12)));
  EXPECT_FALSE(at::equal(before.narrow(0, 12, 1), after.narrow(0, 12, 1)));
}

TEST_F(TransformerTest, RefusesDialsThatDoNotFit) {
  model::Blueprint dials = TinyBlueprint();
  dials.num_kv_heads = 3;
  EXPECT_EQ(Transformer::Create(dials, 1).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(TransformerTest, Gpt2StartsAsItsPaperSays) {
  const model::Blueprint dials = TinyBlueprint(model::Family::kGpt2);
  const Transformer transformer = Transformer::Create(dials, 1).value();
  for (const model::NamedTensor& named : transformer.Export()) {
    const std::vector<float> values = named.tensor.ToFloats();
    double squares = 0;
    for (const float value : values) squares += value * value;
    const double rms = std::sqrt(squares / static_cast<double>(values.size()));
    const bool bias = named.name.ends_with("bias");
    const bool norm = named.name.find("ln_") != std::string::npos;
    const bool residual = named.name.find("c_proj") != std::string::npos;
    const double expected = bias ? 0 : norm ? 1.0 : residual ? 0.02 / std::sqrt(2.0 * 2) : 0.02;
    EXPECT_NEAR(rms, expected, 0.15 * expected) << named.name;
  }
  const at::Tensor hidden = transformer.Hidden(RandomIds(dials, 8, 32));
  EXPECT_NEAR(LinearCrossEntropy(hidden, transformer.head(), RandomIds(dials, 1, 256).reshape({-1}),
                                 1.0 / 256)
                  .item<double>(),
              std::log(static_cast<double>(dials.vocab_size)), 0.05);
}

TEST_F(TransformerTest, APlainFfnIsTrainedToo) {
  model::Blueprint dials = TinyBlueprint();
  dials.ffn = model::FfnKind::kPlain;
  const Transformer transformer = Transformer::Create(dials, 1).value();
  EXPECT_EQ(transformer.Export().size(), model::TensorsOf(dials).size());
  transformer.Hidden(RandomIds(dials, 2, 8)).square().mean().backward();
  for (const Parameter& parameter : transformer.parameters()) {
    EXPECT_TRUE(parameter.value.grad().defined()) << parameter.name();
  }
}

// The exported checkpoint in the inference engine gives the logits that training computed.
void ExpectEngineAgrees(const model::Blueprint& dials) {
  Transformer transformer = Transformer::Create(dials, 5).value();
  at::manual_seed(3);
  {
    const at::NoGradGuard no_grad;  // away from the start, where errors could hide
    for (Parameter& parameter : transformer.parameters()) {
      parameter.value.add_(at::randn_like(parameter.value), parameter.decays ? 0.15 : 0.3);
    }
  }
  const at::Tensor ids = at::randint(dials.vocab_size, {1, dials.context}, at::kLong);
  const at::Tensor expected = transformer.Logits(transformer.Hidden(ids)).detach();

  const test::TempDir folder;
  model::CheckpointContents contents;
  contents.blueprint = dials;
  contents.tensors = transformer.Export();
  ASSERT_TRUE(model::WriteCheckpoint(folder / "checkpoint", contents).ok());
  const auto checkpoint = model::Checkpoint::Open(folder / "checkpoint");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto engine = inference::CreateCpuEngine(*checkpoint, {.num_threads = 1});
  ASSERT_TRUE(engine.ok()) << engine.status();
  std::vector<int32_t> tokens(ids.data_ptr<int64_t>(), ids.data_ptr<int64_t>() + ids.numel());
  const inference::SequenceStep step{
      .sequence = (*engine)->Open(), .tokens = tokens, .all_logits = true};
  ASSERT_TRUE((*engine)->Reserve(step.sequence, dials.context).ok());
  inference::Logits logits;
  ASSERT_TRUE((*engine)->Step({&step, 1}, &logits).ok());
  EXPECT_GT(expected.abs().max().item<double>(), 1.0);
  for (int64_t t = 0; t < dials.context; ++t) {
    for (int64_t v = 0; v < dials.vocab_size; ++v) {
      ASSERT_NEAR(logits.Row(t)[static_cast<size_t>(v)], expected[t][v].item<float>(), 1e-4)
          << "token " << t << ", logit " << v;
    }
  }
}

TEST_F(TransformerTest, TheEngineComputesTheSameLogitsForQwen3) {
  ExpectEngineAgrees(TinyBlueprint());
  model::Blueprint untied = TinyBlueprint();
  untied.tie_embeddings = false;
  ExpectEngineAgrees(untied);
}
TEST_F(TransformerTest, TheEngineComputesTheSameLogitsForLlama) {
  ExpectEngineAgrees(TinyBlueprint(model::Family::kLlama));
}
TEST_F(TransformerTest, TheEngineComputesTheSameLogitsForQwen2) {
  ExpectEngineAgrees(TinyBlueprint(model::Family::kQwen2));
}
TEST_F(TransformerTest, TheEngineComputesTheSameLogitsForGpt2) {
  ExpectEngineAgrees(TinyBlueprint(model::Family::kGpt2));
  model::Blueprint untied = TinyBlueprint(model::Family::kGpt2);
  untied.tie_embeddings = false;
  ExpectEngineAgrees(untied);
}
TEST_F(TransformerTest, TheEngineComputesTheSameLogitsWithAPlainFfn) {
  for (const auto family : {model::Family::kQwen3, model::Family::kQwen2, model::Family::kLlama}) {
    model::Blueprint plain = TinyBlueprint(family);
    plain.ffn = model::FfnKind::kPlain;
    ExpectEngineAgrees(plain);
  }
}
TEST_F(TransformerTest, TheEngineComputesTheSameLogitsWithScaledRope) {
  for (const auto family : {model::Family::kQwen3, model::Family::kLlama}) {
    model::Blueprint scaled = TinyBlueprint(family);
    scaled.rope_scaling = {model::RopeScalingKind::kLlama3, 8, 1, 4, 32};
    ExpectEngineAgrees(scaled);
    scaled.rope_scaling = {.kind = model::RopeScalingKind::kLinear, .factor = 4};
    ExpectEngineAgrees(scaled);
  }
}

}  // namespace
}  // namespace floe::trainer
