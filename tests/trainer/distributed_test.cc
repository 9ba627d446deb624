// What several ranks compute, and how they meet; see distributed_fixture.h.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <optional>

#include "absl/strings/str_cat.h"

#include "tests/support/file_size_limit.h"
#include "tests/trainer/distributed_fixture.h"
#include "trainer/internal/data_parallel.h"
#include "trainer/internal/train_step.h"

namespace floe::trainer {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(OwnersBySizeTest, GivesEachWholeParameterToWhoHasLeast) {
  const std::vector<int64_t> sizes = {4, 100, 30, 30, 40, 4};
  EXPECT_THAT(OwnersBySize(sizes, 2), ElementsAre(0, 0, 1, 1, 1, 1));
  EXPECT_THAT(OwnersBySize(sizes, 1), testing::Each(0));
}

// Remembers the sizes of what is summed.
class RecordingGroup final : public ProcessGroup {
 public:
  RecordingGroup() : ProcessGroup({.rank = 0, .size = 2}) {}
  absl::Status Join(const std::string&, const std::function<absl::Status()>&) override {
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<std::string>> Exchange(const std::string&,
                                                    const std::string&) override {
    return std::vector<std::string>();
  }
  Pending Sum(const at::Tensor& tensor) override {
    sums.push_back(tensor.numel());
    return [] { return absl::OkStatus(); };
  }
  Pending Broadcast(const at::Tensor&, int) override { return Sum({}); }
  Pending Send(const at::Tensor&, int) override { return Sum({}); }
  Pending Receive(const at::Tensor&, int) override { return Sum({}); }

  std::vector<int64_t> sums;
};

TEST(DataParallelTest, BucketsLeaveDuringTheLastBackwardOnly) {
  Transformer transformer = Transformer::Create(TinyBlueprint(), 1).value();
  int64_t elements = 0;
  for (const Parameter& parameter : transformer.parameters()) elements += parameter.value.numel();
  RecordingGroup group;
  DataParallel parallel(&group, transformer.parameters(), 2000);
  const MicroBatch batch =
      MakeMicroBatch(std::vector<int64_t>(16, 5), std::vector<int64_t>(16, 6), 8);
  AccumulateGradients(transformer, {batch, batch});  // not told: nothing leaves
  EXPECT_THAT(group.sums, testing::IsEmpty());
  AccumulateGradients(transformer, {batch, batch}, {0, &parallel});
  const std::vector<int64_t> during = group.sums;
  EXPECT_GT(during.size(), 5u);
  EXPECT_EQ(std::accumulate(during.begin(), during.end(), int64_t{0}), elements);
  ASSERT_TRUE(parallel.FinishBackward().ok());
  EXPECT_EQ(group.sums, during);  // none was left over
}

absl::StatusOr<RankPlace> PlaceOf(const std::map<std::string, std::string>& variables) {
  return ReadRankPlace([&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  });
}

TEST(RankPlaceTest, ReadsTorchrunsAndKubernetesNames) {
  EXPECT_EQ(PlaceOf({})->size, 1);
  EXPECT_EQ(PlaceOf({{"JOB_COMPLETION_INDEX", "3"}})->size, 1);
  const std::map<std::string, std::string> rest = {
      {"WORLD_SIZE", "4"}, {"MASTER_ADDR", "train-0.train"}, {"MASTER_PORT", "29500"}};
  for (const std::string name : {"RANK", "JOB_COMPLETION_INDEX"}) {
    auto variables = rest;
    variables[name] = "3";
    const auto place = PlaceOf(variables);
    ASSERT_TRUE(place.ok()) << place.status();
    EXPECT_EQ(place->rank, 3);
    EXPECT_EQ(place->size, 4);
    EXPECT_EQ(place->address, "train-0.train");
    EXPECT_EQ(place->port, 29500);
    variables[name] = "4";
    EXPECT_THAT(PlaceOf(variables).status().message(), HasSubstr(name + " is \"4\""));
  }
  EXPECT_THAT(PlaceOf(rest).status().message(), HasSubstr("RANK is not set"));
  EXPECT_THAT(PlaceOf({{"RANK", "0"}}).status().message(), HasSubstr("WORLD_SIZE is not set"));
}

// The recipe, and how far apart the losses of its steps may be.
struct Recipe {
  std::string name;
  OptimizerKind optimizer;
  double bound;
};

class AnySplitTest : public DistributedTest, public testing::WithParamInterface<Recipe> {
 protected:
  void SetUp() override {
    DistributedTest::SetUp();
    if (GetParam().optimizer == OptimizerKind::kAdamW) return;
    // What a job file that says nothing trains with.
    const TrainSettings recipe = ParsePretrainSpec(
                                     "{model: m, dataset: d, tokenizer: t, preset: tiny, train: "
                                     "{steps: 8, warmup_steps: 2}}")
                                     ->train;
    TrainSettings& settings = options_.settings;
    ASSERT_EQ(recipe.optimizer, OptimizerKind::kMuon);
    settings.optimizer = recipe.optimizer;
    settings.schedule = recipe.schedule;
    settings.decay_fraction = recipe.decay_fraction;
    settings.learning_rate = recipe.learning_rate;
    settings.min_learning_rate = recipe.min_learning_rate;
    settings.muon_learning_rate = recipe.muon_learning_rate;
  }
};

// The same global batch, however it is dealt out, is the same step but for the order of sums.
TEST_P(AnySplitTest, ProcessesAndAccumulationChangeTheLossByRoundingAlone) {
  const double bound = GetParam().bound;
  const auto alone = Run(1, "alone");
  ASSERT_TRUE(alone[0].status.ok()) << alone[0].status;
  const auto expect_alike = [&](const std::vector<Result>& results) {
    for (const Result& result : results) {
      ASSERT_TRUE(result.status.ok()) << result.status;
      EXPECT_EQ(result.digest, results[0].digest);
    }
    const auto& reports = results[0].recorder.reports;
    ASSERT_EQ(reports.size(), 8u);
    for (size_t i = 0; i < reports.size(); ++i) {
      EXPECT_NEAR(reports[i].loss, alone[0].recorder.reports[i].loss, bound) << i;
      EXPECT_NEAR(*reports[i].held_out_loss, *alone[0].recorder.reports[i].held_out_loss, bound);
    }
    for (size_t rank = 1; rank < results.size(); ++rank) {
      EXPECT_THAT(results[rank].recorder.lines, testing::IsEmpty());
    }
    // Each rank tells this process's most.
    const double memory = reports.front().metrics.at("peak_memory_bytes");
    const double once = alone[0].recorder.reports.back().metrics.at("peak_memory_bytes");
    EXPECT_GE(memory, once * static_cast<double>(results.size()));
  };
  expect_alike(Run(2, "two"));
  expect_alike(Run(4, "four"));
  options_.settings.batch_size = 2;
  options_.settings.gradient_accumulation = 4;
  expect_alike(Run(1, "accumulated"));
  expect_alike(Run(3, "three"));  // shares of 2, 3 and 3 sequences
}
INSTANTIATE_TEST_SUITE_P(Recipes, AnySplitTest,
                         testing::Values(Recipe{"AdamW", OptimizerKind::kAdamW, 2e-5},
                                         Recipe{"Default", OptimizerKind::kMuon, 2e-5}),
                         [](const auto& recipe) { return recipe.param.name; });

TEST_F(DistributedTest, AStoppedRunEndsInTheSameBytes) {
  const auto straight = Run(2, "straight");
  ASSERT_TRUE(straight[0].status.ok()) << straight[0].status;
  for (const Result& result : Run(2, "parts", 3)) {
    EXPECT_EQ(result.status.code(), absl::StatusCode::kCancelled) << result.status;
  }
  const auto resumed = Run(2, "parts");
  EXPECT_EQ(resumed[1].digest, straight[0].digest);
  EXPECT_EQ(resumed[0].recorder.reports.back().loss, straight[0].recorder.reports.back().loss);
}

TEST_F(DistributedTest, AFullDiskKeepsTheLastGoodStateAndTrainingGoesOn) {
  const auto straight = Run(2, "straight");
  Run(2, "full", 3);
  std::vector<Result> full;
  {
    const test::FileSizeLimit limit(4096);  // the weights are larger: neither state nor export fits
    full = Run(2, "full", 6);
  }
  EXPECT_EQ(full[0].status.code(), absl::StatusCode::kCancelled) << full[0].status;
  EXPECT_THAT(full[0].recorder.lines, Contains(HasSubstr("the last saved state stays")));
  const auto resumed = Run(2, "full");
  EXPECT_THAT(resumed[0].recorder.lines, Contains("resumed at step 4"));
  EXPECT_EQ(resumed[0].digest, straight[0].digest);
}

TEST_F(DistributedTest, AStepOfTooFewSequencesIsRefused) {
  options_.settings.batch_size = 1;
  PretrainOptions options = options_;
  const auto group = ProcessGroup::Open({.rank = 0, .size = 2}).value();
  options.group = group.get();
  options.state_folder = folder_ / "few";
  EXPECT_THAT(Pretrainer::Create(options, *tokenizer_, clock_).status().message(),
              HasSubstr("too few for 2 processes"));
}

TEST_F(DistributedTest, AStateGoesOnWithAnotherNumberOfProcesses) {
  const auto alone = Run(1, "alone");
  Run(2, "changing", 3);
  Run(4, "changing", 5);
  const auto last = Run(1, "changing");
  ASSERT_TRUE(last[0].status.ok()) << last[0].status;
  EXPECT_THAT(last[0].recorder.lines, Contains(HasSubstr("by 4 processes of 1 threads")));
  EXPECT_NEAR(last[0].recorder.reports.back().loss, alone[0].recorder.reports.back().loss, 2e-5);
}

TEST_F(DistributedTest, AGroupForCudaDevicesIsRefusedWithoutNccl) {
  if (ProcessGroup::kHasNccl) GTEST_SKIP() << "built with it";
  const auto refused = ProcessGroup::Open({.rank = 0, .size = 2}, {.cuda = true}).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(refused.message(), HasSubstr("-DFLOE_NCCL=ON"));
}

TEST_F(DistributedTest, WhoWasGivenAnotherRunIsTurnedAway) {
  auto first = ProcessGroup::Open({.rank = 0, .size = 2}).value();
  auto second = ProcessGroup::Open({.rank = 1, .size = 2, .port = first->port()}).value();
  absl::Status other;
  std::jthread thread([&] { other = second->Join("another", nullptr); });
  int asked = 0;
  // Rank 0 would wait for the connections; it is told that the other has gone.
  const absl::Status lost = first->Join("one", [&] {
    return ++asked < 2 ? absl::OkStatus() : absl::UnavailableError("rank 1 ended");
  });
  thread.join();
  EXPECT_EQ(other.code(), absl::StatusCode::kFailedPrecondition) << other;
  EXPECT_THAT(other.message(), HasSubstr("another run than rank 0"));
}

}  // namespace
}  // namespace floe::trainer
