// The gradients of alignment, compared with their definitions.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/trainer/alignment/alignment_data.h"
#include "tests/trainer/recorder.h"
#include "trainer/alignment/internal/dpo_objective.h"
#include "trainer/alignment/internal/questions.h"
#include "trainer/alignment/internal/sft_objective.h"
#include "trainer/internal/train_step.h"

namespace floe::trainer {
namespace {

class ObjectivesTest : public testing::Test {
 protected:
  void SetUp() override { at::set_num_threads(1); }

  AlignOptions Options(int64_t batch_size, int64_t accumulation) {
    AlignOptions options;
    options.settings.batch_size = batch_size;
    options.settings.gradient_accumulation = accumulation;
    options.identity = absl::StrCat("test ", batch_size);
    return options;
  }

  static std::vector<at::Tensor> Gradients(const Transformer& transformer) {
    std::vector<at::Tensor> gradients;
    for (const Parameter& parameter : transformer.parameters()) {
      gradients.push_back(parameter.value.grad().clone());
    }
    return gradients;
  }
  static void ExpectSame(const Transformer& a, const Transformer& b) {
    const auto left = Gradients(a), right = Gradients(b);
    for (size_t i = 0; i < left.size(); ++i) {
      EXPECT_TRUE(at::allclose(left[i], right[i], 1e-4, 1e-7)) << a.parameters()[i].name();
    }
  }

  const test::TempDir folder_;
  const std::unique_ptr<const tokenizer::Tokenizer> tokenizer_ = tokenizer::SampleTokenizer();
  const std::vector<Question> none_;
  const tokenizer::ChatTemplate chatml_;
  Questions questions_{*tokenizer_, chatml_, none_};
};

TEST_F(ObjectivesTest, LogProbabilitiesAndTheirGradientAreThoseOfLogSoftmax) {
  at::manual_seed(1);
  at::Tensor hidden = at::randn({37, 16}).requires_grad_();
  at::Tensor weight = at::randn({101, 16}).requires_grad_();
  at::Tensor targets = at::randint(101, {37}, at::kLong);
  targets[3] = -1;
  targets[36] = -1;
  const at::Tensor upstream = at::randn({37});
  const at::Tensor ours = LinearLogProbabilities(hidden, weight, targets);
  ours.backward(upstream);
  const at::Tensor dhidden = hidden.grad().clone(), dweight = weight.grad().clone();
  hidden.mutable_grad().reset();
  weight.mutable_grad().reset();
  const at::Tensor mask = (targets >= 0).to(at::kFloat);
  const at::Tensor theirs = at::log_softmax(at::mm(hidden, weight.t()), 1)
                                .gather(1, targets.clamp_min(0).unsqueeze(1))
                                .squeeze(1) *
                            mask;
  EXPECT_TRUE(at::allclose(ours, theirs, 1e-5, 1e-6));
  theirs.backward(upstream);
  EXPECT_TRUE(at::allclose(dhidden, hidden.grad(), 1e-4, 1e-6));
  EXPECT_TRUE(at::allclose(dweight, weight.grad(), 1e-4, 1e-6));
}

TEST_F(ObjectivesTest, SftOneBatchOfEightIsEightBatchesOfOne) {
  const SftTask task{Chats(*tokenizer_, 8), {}};
  Transformer together = Transformer::Create(TinyBlueprint(), 3).value();
  Transformer apart = Transformer::Create(TinyBlueprint(), 3).value();
  const AlignOptions one = Options(8, 1), eight = Options(1, 8);
  const auto a = SftObjective(together, task, one, questions_).AddGradients();
  const auto b = SftObjective(apart, task, eight, questions_).AddGradients();
  ASSERT_TRUE(a.ok() && b.ok()) << a.status() << b.status();
  EXPECT_NEAR(a->loss, b->loss, 1e-5);
  EXPECT_EQ(a->tokens, b->tokens);
  EXPECT_EQ(a->metrics.at("answer_tokens"), b->metrics.at("answer_tokens"));
  ExpectSame(together, apart);
}

TEST_F(ObjectivesTest, SftWeighsEveryAnswerTokenTheSame) {
  // Answers of very different length in micro-batches of their own: the mean over all tokens.
  std::vector<ChatExample> chats = {{{{"user", "a"}, {"assistant", "b"}}, 1},
                                    {{{"user", "a"}, {"assistant", "one two three four"}}, 2}};
  const SftTask task{RenderChats(*tokenizer_, chats, {.max_tokens = 48}).value().examples, {}};
  Transformer transformer = Transformer::Create(TinyBlueprint(), 3).value();
  double sum = 0;
  int64_t tokens = 0;
  {
    const at::NoGradGuard no_grad;
    for (const Rendered& text : task.train) {
      const Rendered* one = &text;
      const PaddedBatch batch = PadBatch({&one, 1}).value();
      const MicroBatch micro = MakeMicroBatch(batch.ids, batch.targets, batch.length);
      sum += LinearCrossEntropy(transformer.Hidden(micro.ids), transformer.head(), micro.targets, 1)
                 .item<double>();
      tokens += batch.answer_tokens;
    }
  }
  const AlignOptions options = Options(1, 2);
  const auto step = SftObjective(transformer, task, options, questions_).AddGradients();
  ASSERT_TRUE(step.ok()) << step.status();
  EXPECT_NEAR(step->loss, sum / static_cast<double>(tokens), 1e-5);
}

TEST_F(ObjectivesTest, SftRefusesAMaskThatIsAllZeroOrAllOne) {
  Transformer transformer = Transformer::Create(TinyBlueprint(), 3).value();
  const AlignOptions options = Options(1, 1);
  for (const bool mark : {false, true}) {
    const SftTask task{{Rendered{{1, 2, 3}, std::vector<bool>(3, mark), 4}}, {}};
    const auto step = SftObjective(transformer, task, options, questions_).AddGradients();
    EXPECT_EQ(step.status().code(), absl::StatusCode::kInvalidArgument);
  }
}

class DpoTest : public ObjectivesTest {
 protected:
  // An objective whose reference is the transformer as it is.
  DpoObjective Make(Transformer& transformer, const DpoTask& task, const AlignOptions& options) {
    DpoObjective objective(transformer, task, options, questions_);
    Recorder recorder;
    const absl::Status prepared = objective.Prepare(recorder, {});
    EXPECT_TRUE(prepared.ok()) << prepared;
    return objective;
  }
};

TEST_F(DpoTest, APolicyThatIsTheReferenceHasLn2AndNoReward) {
  Transformer transformer = Transformer::Create(TinyBlueprint(), 3).value();
  DpoTask task{Pairs(*tokenizer_, 8), Pairs(*tokenizer_, 4, 8), {}, folder_ / "r.json"};
  const AlignOptions options = Options(4, 2);
  DpoObjective objective = Make(transformer, task, options);
  const auto step = objective.AddGradients();
  ASSERT_TRUE(step.ok()) << step.status();
  EXPECT_NEAR(step->loss, std::log(2.0), 1e-6);
  EXPECT_NEAR(step->metrics.at("rewards/margins"), 0, 1e-5);
  EXPECT_NEAR(step->metrics.at("rewards/chosen"), 0, 1e-5);
  EXPECT_LT(step->metrics.at("logps/chosen"), 0);
  const auto held_out = objective.Evaluate();
  ASSERT_TRUE(held_out.has_value());
  EXPECT_NEAR(held_out->loss, std::log(2.0), 1e-6);
}

TEST_F(DpoTest, OneBatchOfEightIsEightBatchesOfOne) {
  Transformer together = Transformer::Create(TinyBlueprint(), 3).value();
  Transformer apart = Transformer::Create(TinyBlueprint(), 3).value();
  const DpoTask a_task{Pairs(*tokenizer_, 8), {}, {}, folder_ / "a.json"};
  const DpoTask b_task{Pairs(*tokenizer_, 8), {}, {}, folder_ / "b.json"};
  const AlignOptions one = Options(8, 1), eight = Options(1, 8);
  const auto a = Make(together, a_task, one).AddGradients();
  const auto b = Make(apart, b_task, eight).AddGradients();
  ASSERT_TRUE(a.ok() && b.ok()) << a.status() << b.status();
  EXPECT_NEAR(a->loss, b->loss, 1e-6);
  ExpectSame(together, apart);
}

TEST_F(DpoTest, TheGradientIsThatOfTheLoss) {
  // Along one direction in the head's weights, against the difference of two losses.
  Transformer transformer = Transformer::Create(TinyBlueprint(), 3).value();
  DpoTask task{Pairs(*tokenizer_, 2), {}, {}, folder_ / "r.json"};
  task.loss.beta = 2;
  const AlignOptions options = Options(2, 1);
  Make(transformer, task, options);  // keeps the reference of these weights
  at::Tensor& weight = transformer.parameters()[0].value;
  const at::Tensor direction =
      at::ones_like(weight) * at::arange(weight.size(1)).to(at::kFloat).sin();
  const auto loss_of = [&](double by) {
    {
      const at::NoGradGuard no_grad;
      weight.add_(direction, by);
    }
    const double loss = Make(transformer, task, options).AddGradients().value().loss;
    {
      const at::NoGradGuard no_grad;
      weight.add_(direction, -by);
    }
    return loss;
  };
  for (Parameter& parameter : transformer.parameters()) parameter.value.mutable_grad().reset();
  ASSERT_TRUE(Make(transformer, task, options).AddGradients().ok());
  const double along = (weight.grad() * direction).sum().item<double>();
  constexpr double kStep = 2e-4;
  EXPECT_NEAR(along, (loss_of(kStep) - loss_of(-kStep)) / (2 * kStep),
              0.02 * std::abs(along) + 1e-3);
}

TEST_F(DpoTest, TheReferenceIsComputedOnceAndKept) {
  Transformer transformer = Transformer::Create(TinyBlueprint(), 3).value();
  const DpoTask task{Pairs(*tokenizer_, 6), Pairs(*tokenizer_, 2, 6), {}, folder_ / "r.json"};
  const AlignOptions options = Options(2, 1);
  DpoObjective first(transformer, task, options, questions_);
  Recorder recorder;
  ASSERT_TRUE(first.Prepare(recorder, {}).ok());
  EXPECT_EQ(recorder.lines.back(), "reference log-probabilities of 8 pairs computed");
  {
    const at::NoGradGuard no_grad;
    transformer.parameters()[0].value.mul_(1.5);  // no longer the reference
  }
  DpoObjective second(transformer, task, options, questions_);
  ASSERT_TRUE(second.Prepare(recorder, {}).ok());
  EXPECT_EQ(recorder.lines.back(), "reference log-probabilities of an earlier attempt are here");
  EXPECT_GT(std::abs(second.AddGradients().value().loss - std::log(2.0)), 1e-4);
  std::stop_source stop;
  stop.request_stop();
  const DpoTask other{Pairs(*tokenizer_, 6), {}, {}, folder_ / "other.json"};
  DpoObjective third(transformer, other, options, questions_);
  EXPECT_EQ(third.Prepare(recorder, stop.get_token()).code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace floe::trainer
