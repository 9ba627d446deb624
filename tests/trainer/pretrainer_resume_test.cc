// A run that was stopped or killed goes on from its last state as if nothing had happened.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"

#include "base/files.h"
#include "model/accounting.h"
#include "tests/trainer/pretrainer_fixture.h"
#include "tests/trainer/recorder.h"
#include "tests/trainer/tiny_model.h"
#include "trainer/compute.h"
#include "trainer/internal/thread_replicas.h"
#include "trainer/state_store.h"

namespace floe::trainer {
namespace {

using testing::Contains;
using testing::HasSubstr;

// Stopped at a state and killed between two, a run ends in the bytes of one that never was.
class ResumeTest : public PretrainerTest {
 protected:
  void ExpectTheSameBytes(const std::string& name) {
    Recorder whole, first, second, third;
    const auto straight = Make(name);
    const auto ended = straight->Run(whole, {});
    ASSERT_TRUE(ended.ok()) << ended.status();
    const std::string parts = name + "-parts";
    EXPECT_EQ(RunUntil(10, parts, first).code(), absl::StatusCode::kCancelled);
    EXPECT_EQ(RunUntil(13, parts, second).code(), absl::StatusCode::kCancelled);
    std::filesystem::remove(StateStore::Open(folder_ / parts / "states").value().PathOf(13));
    const auto resumed = Make(parts);
    ASSERT_TRUE(resumed->Run(third, {}).ok());
    EXPECT_THAT(third.lines, Contains("resumed at step 10"));
    EXPECT_LT(whole.reports.back().loss, whole.reports.front().loss - 1) << "it learns";
    EXPECT_EQ(Export(*resumed, parts), Export(*straight, name));
  }
  // Of the model as it is set.
  int64_t Parameters() const { return model::CountParameters(options_.blueprint).Total(); }
};

TEST_F(ResumeTest, AStoppedRunEndsInTheSameBytes) {
  Recorder whole, first, second, third;
  const auto straight = Make("straight");
  ASSERT_TRUE(straight->Run(whole, {}).ok());

  EXPECT_EQ(RunUntil(10, "parts", first).code(), absl::StatusCode::kCancelled);
  // Killed rather than stopped: what came after the last saved state is done again.
  EXPECT_EQ(RunUntil(13, "parts", second).code(), absl::StatusCode::kCancelled);
  std::filesystem::remove(StateStore::Open(folder_ / "parts/states").value().PathOf(13));
  EXPECT_THAT(second.lines, Contains("resumed at step 10"));
  const auto resumed = Make("parts");
  const auto outcome = resumed->Run(third, {});
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_THAT(third.lines, Contains("resumed at step 10"));
  EXPECT_EQ(outcome->tokens, 20 * 2 * 4 * 32);
  EXPECT_EQ(third.reports.back().loss, whole.reports.back().loss);
  EXPECT_EQ(third.samples.back(), whole.samples.back());
  EXPECT_EQ(Export(*resumed, "parts"), Export(*straight, "straight"));
}

TEST_F(ResumeTest, TwoThreadsThatTakeTheirOwnSequencesGoOnBitForBit) {
  options_.threads = 2;
  ASSERT_TRUE(ReplicasPay(Parameters(), options_.settings.batch_size, options_.threads));
  for (const OptimizerKind optimizer : {OptimizerKind::kAdamW, OptimizerKind::kMuon}) {
    options_.settings.optimizer = optimizer;
    ExpectTheSameBytes(optimizer == OptimizerKind::kMuon ? "muon" : "adamw");
  }
}

// Products, rows and heads are what the threads share then.
TEST_F(ResumeTest, TwoThreadsThatShareEachProductGoOnBitForBit) {
  options_.threads = 2;
  options_.settings.batch_size = 5;
  ASSERT_FALSE(ReplicasPay(Parameters(), options_.settings.batch_size, options_.threads));
  for (const OptimizerKind optimizer : {OptimizerKind::kAdamW, OptimizerKind::kMuon}) {
    options_.settings.optimizer = optimizer;
    ExpectTheSameBytes(optimizer == OptimizerKind::kMuon ? "muon" : "adamw");
  }
}

TEST_F(ResumeTest, Bf16GoesOnBitForBit) {
  if (const absl::Status has = JudgeBf16OfThisMachine(); !has.ok()) GTEST_SKIP() << has.message();
  options_.settings.precision = PrecisionKind::kBf16;
  for (const int threads : {1, 2}) {
    options_.threads = threads;
    ExpectTheSameBytes(absl::StrCat("threads-", threads));
  }
}

TEST_F(ResumeTest, EveryFamilyLearnsAndGoesOnBitForBit) {
  for (const model::Family family :
       {model::Family::kGpt2, model::Family::kLlama, model::Family::kQwen2}) {
    options_.blueprint = TinyBlueprint(family);
    ExpectTheSameBytes(std::string(model::FamilyName(family)));
  }
}

TEST_F(ResumeTest, MuonGoesOnBitForBit) {
  options_.settings.optimizer = OptimizerKind::kMuon;
  options_.settings.schedule = ScheduleKind::kWsd;
  ExpectTheSameBytes("muon");
}

TEST_F(ResumeTest, AFinishedRunIsTakenUpWithoutTraining) {
  Recorder first, second;
  const auto trained = Make("a");
  ASSERT_TRUE(trained->Run(first, {}).ok());
  const auto again = Make("a");
  const auto outcome = again->Run(second, {});
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_TRUE(second.reports.empty());
  EXPECT_EQ(outcome->held_out_loss, *first.reports.back().held_out_loss);
}

TEST_F(ResumeTest, ADamagedStateIsToldAndTheOneBeforeTaken) {
  Recorder first, second;
  EXPECT_EQ(RunUntil(12, "a", first).code(), absl::StatusCode::kCancelled);
  const StateStore store = StateStore::Open(folder_ / "a/states").value();
  std::string bytes = ReadFile(store.PathOf(12)).value();
  bytes[bytes.size() / 2] ^= 1;
  ASSERT_TRUE(WriteFileAtomically(store.PathOf(12), bytes).ok());
  ASSERT_TRUE(Make("a")->Run(second, {}).ok());
  EXPECT_THAT(second.lines, Contains(HasSubstr("is damaged: its bytes do not have its checksum")));
  EXPECT_THAT(second.lines, Contains("resumed at step 10"));
}

TEST_F(ResumeTest, StatesOfAnotherRunAreNotTakenUp) {
  Recorder recorder;
  EXPECT_EQ(RunUntil(5, "a", recorder).code(), absl::StatusCode::kCancelled);
  options_.settings.learning_rate = 0.02;
  const absl::Status refused = Make("a")->Run(recorder, {}).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(refused.message(), HasSubstr("another run"));
}

// The states of a run lie beside nothing that says its shape but the run's identity.
TEST_F(ResumeTest, StatesOfAnotherBlueprintAreNotTakenUp) {
  Recorder recorder;
  EXPECT_EQ(RunUntil(5, "a", recorder).code(), absl::StatusCode::kCancelled);
  for (int64_t model::Blueprint::*dial :
       {&model::Blueprint::num_layers, &model::Blueprint::ffn_hidden, &model::Blueprint::vocab_size,
        &model::Blueprint::context}) {
    options_.blueprint = TinyBlueprint();
    options_.blueprint.*dial += 8;
    const absl::Status refused = Make("a")->Run(recorder, {}).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
    EXPECT_THAT(refused.message(), HasSubstr("another run"));
  }
  options_.blueprint = TinyBlueprint();
  options_.blueprint.rope_scaling = {.kind = model::RopeScalingKind::kLinear, .factor = 2};
  const absl::Status refused = Make("a")->Run(recorder, {}).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
  EXPECT_THAT(refused.message(), HasSubstr("another run"));
}

}  // namespace
}  // namespace floe::trainer
