#include "trainer/alignment/aligner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/files.h"
#include "tests/trainer/alignment/alignment_data.h"
#include "tests/trainer/recorder.h"

namespace floe::trainer {
namespace {

using testing::Contains;
using testing::HasSubstr;

class AlignerTest : public testing::Test {
 protected:
  AlignerTest() : base_(TinyBase(folder_ / "base")) {
    TrainSettings& settings = options_.settings;
    settings.steps = 20;
    settings.batch_size = 2;
    settings.gradient_accumulation = 2;
    settings.learning_rate = 0.005;
    settings.min_learning_rate = 0.001;
    settings.warmup_steps = 2;
    settings.weight_decay = 0;
    settings.eval_interval = 1;
    settings.sample_interval = 0;
    settings.checkpoint_interval = 4;
    options_.identity = "a test";
    options_.questions = {{{{"user", "n1"}}}};
    options_.threads = 1;
  }

  AlignTask Task(bool dpo, const std::string& name) {
    if (!dpo) return SftTask{Chats(*tokenizer_, 24), Chats(*tokenizer_, 6, 24)};
    return DpoTask{
        Pairs(*tokenizer_, 12), Pairs(*tokenizer_, 4, 12), {}, folder_ / (name + ".reference")};
  }
  std::unique_ptr<Aligner> Make(bool dpo, const std::string& name) {
    AlignOptions options = options_;
    options.state_folder = folder_ / name;
    auto made = Aligner::Create(base_, *tokenizer_, Task(dpo, name), options, clock_);
    EXPECT_TRUE(made.ok()) << made.status();
    return *std::move(made);
  }
  std::string Export(const Aligner& aligner, const std::string& name) {
    const auto digest = aligner.Export(
        folder_ / (name + ".out"), {.checkpoint = base_.digest(), .dataset = std::string(64, 'a')},
        {{"tokenizer.json", tokenizer_->ToJson()}});
    EXPECT_TRUE(digest.ok()) << digest.status();
    return digest.value_or("");
  }

  const test::TempDir folder_;
  const std::unique_ptr<const tokenizer::Tokenizer> tokenizer_ = tokenizer::SampleTokenizer();
  const SystemClock clock_;
  const model::Checkpoint base_;
  AlignOptions options_;
};

TEST_F(AlignerTest, SftLowersTheHeldOutLossAndNamesItsParent) {
  options_.settings.steps = 60;
  options_.settings.sample_interval = 30;
  Recorder recorder;
  const auto aligner = Make(false, "sft");
  const auto outcome = aligner->Run(recorder, {});
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_NEAR(*recorder.reports.front().held_out_loss, std::log(403.0), 0.5);
  EXPECT_LT(outcome->held_out_loss, 2.5);
  EXPECT_GT(recorder.reports.front().metrics.at("answer_tokens"), 0);
  EXPECT_GT(recorder.reports.back().metrics.at("gemm_peak_share"), 0);
  EXPECT_LE(recorder.reports.back().metrics.at("gemm_peak_share"), 1);
  ASSERT_EQ(recorder.samples.size(), 3u);
  EXPECT_THAT(recorder.samples[0], HasSubstr("before: n1 -> "));
  EXPECT_THAT(recorder.samples[1], HasSubstr("step 30: n1 -> "));
  EXPECT_THAT(recorder.samples[2], HasSubstr("after: n1 -> m"));
  Export(*aligner, "sft");
  const auto out = model::Checkpoint::Open(folder_ / "sft.out");
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(out->manifest().parents.checkpoint, base_.digest());
  EXPECT_EQ(out->blueprint(), base_.blueprint());
}

TEST_F(AlignerTest, DpoPrefersTheChosenAndTellsByTrlsNames) {
  options_.settings.steps = 40;
  Recorder recorder;
  const auto outcome = Make(true, "dpo")->Run(recorder, {});
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  const auto& first = recorder.reports.front();
  EXPECT_NEAR(first.loss, std::log(2.0), 1e-6);
  for (const char* name : {"rewards/chosen", "rewards/rejected", "rewards/margins",
                           "rewards/accuracies", "logps/chosen", "logps/rejected"}) {
    EXPECT_TRUE(first.metrics.contains(name)) << name;
    EXPECT_TRUE(outcome->metrics.contains(absl::StrCat("held_out_", name))) << name;
  }
  EXPECT_LT(outcome->held_out_loss, 0.6);
  EXPECT_GT(outcome->metrics.at("held_out_rewards/margins"), 0.2);
  EXPECT_EQ(outcome->metrics.at("held_out_rewards/accuracies"), 1);
}

TEST_F(AlignerTest, AStoppedRunEndsInTheSameBytesAsOneThatNeverStopped) {
  for (const bool dpo : {false, true}) {
    const std::string kind = dpo ? "dpo" : "sft";
    Recorder recorder;
    const auto straight = Make(dpo, kind + "-straight");
    ASSERT_TRUE(straight->Run(recorder, {}).ok());
    const std::string name = kind + "-stopped";
    for (const int64_t at : {3, 11}) {  // between saved states and on one
      std::stop_source stop;
      recorder.on_progress = [&](const TrainProgress& progress) {
        if (progress.step == at) stop.request_stop();
      };
      const auto stopped = Make(dpo, name)->Run(recorder, stop.get_token());
      EXPECT_EQ(stopped.status().code(), absl::StatusCode::kCancelled) << stopped.status();
    }
    recorder.on_progress = nullptr;
    const auto resumed = Make(dpo, name);
    const auto outcome = resumed->Run(recorder, {});
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    EXPECT_THAT(recorder.lines, Contains("resumed at step 11"));
    EXPECT_EQ(Export(*straight, kind + "-straight"), Export(*resumed, name));
    // What was left to do is only to measure: the same numbers again.
    const auto again = Make(dpo, name)->Run(recorder, {});
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->held_out_loss, outcome->held_out_loss);
    EXPECT_EQ(again->metrics, outcome->metrics);
  }
}

TEST_F(AlignerTest, StatesOfAnotherRunAreNotTakenUp) {
  Recorder recorder;
  ASSERT_TRUE(Make(false, "a")->Run(recorder, {}).ok());
  options_.identity = "another";
  const auto other = Make(false, "a")->Run(recorder, {});
  EXPECT_EQ(other.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(other.status().message()), HasSubstr("another run"));
}

TEST_F(AlignerTest, RefusesDataThatTheBaseCannotRead) {
  AlignOptions options = options_;
  options.state_folder = folder_ / "refused";
  const auto refusal = [&](AlignTask task) {
    const auto made = Aligner::Create(base_, *tokenizer_, std::move(task), options, clock_);
    EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument) << made.status();
    return std::string(made.status().message());
  };
  EXPECT_THAT(refusal(SftTask{}), HasSubstr("no example"));
  EXPECT_THAT(refusal(SftTask{{Rendered{{1, 403}, {false, true}, 8}}, {}}),
              HasSubstr("line 8: token 403 lies outside"));
  const std::vector<tokenizer::TokenId> ids(60, 1);
  EXPECT_THAT(refusal(SftTask{{Rendered{ids, std::vector<bool>(60, true), 9}}, {}}),
              HasSubstr("line 9: the text has 60 tokens"));
  DpoTask bad_loss{Pairs(*tokenizer_, 2), {}, {}, folder_ / "r"};
  bad_loss.loss.label_smoothing = 0.3;
  EXPECT_THAT(refusal(bad_loss), HasSubstr("label_smoothing"));
}

TEST_F(AlignerTest, ADivergingRunStops) {
  options_.settings.learning_rate = 10;
  options_.settings.min_learning_rate = 10;
  options_.settings.weight_decay = 10;
  options_.settings.grad_clip = 0;
  options_.settings.steps = 60;
  Recorder recorder;
  const auto outcome = Make(false, "diverging")->Run(recorder, {});
  EXPECT_EQ(outcome.status().code(), absl::StatusCode::kFailedPrecondition) << outcome.status();
  EXPECT_THAT(std::string(outcome.status().message()), HasSubstr("diverged"));
}

}  // namespace
}  // namespace floe::trainer
