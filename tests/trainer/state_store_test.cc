#include "trainer/state_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/sha256.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temp_dir.h"

namespace floe::trainer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TrainingPosition PositionAt(int64_t step) {
  TrainingPosition position;
  position.step = step;
  position.cursor = {.epoch = 2, .position = 30, .rng = {1, 2, 3, UINT64_MAX}};
  position.tokens = 1'000'000;
  position.threads = 2;
  position.run = "a \"run\"";
  position.last_loss = 0.1;
  return position;
}

class StateStoreTest : public testing::Test {
 protected:
  absl::Status Save(int64_t step) {
    for (float& value : values_) value = static_cast<float>(step) + 0.5f;
    return store_.Save(PositionAt(step), {{"p/w", values_}, {"m/w", {values_.data(), 2}}});
  }
  absl::StatusOr<std::optional<StateFile>> Load() {
    return store_.LoadNewest(
        [&](const absl::Status& status) { damages_.emplace_back(status.message()); });
  }
  void Damage(int64_t step, const std::function<void(std::string&)>& change) {
    std::string bytes = ReadFile(store_.PathOf(step)).value();
    change(bytes);
    ASSERT_TRUE(WriteFileAtomically(store_.PathOf(step), bytes).ok());
  }

  const test::TempDir folder_;
  StateStore store_ = StateStore::Open(folder_ / "states").value();
  std::vector<float> values_ = std::vector<float>(1000);
  std::vector<std::string> damages_;
};

TEST(RetentionTest, KeepsTheNewestTheBestAndEveryNth) {
  const std::vector<int64_t> steps = {100, 200, 250, 300, 400, 500};
  EXPECT_THAT(StepsToDrop(steps, {}), ElementsAre(100, 200, 250, 300));
  EXPECT_THAT(StepsToDrop(steps, {.last = 4}), ElementsAre(100, 200));
  EXPECT_THAT(StepsToDrop(steps, {.every = 200}), ElementsAre(100, 250, 300));
  EXPECT_THAT(StepsToDrop(steps, {.best = 250}), ElementsAre(100, 200, 300));
  EXPECT_THAT(StepsToDrop(steps, {.last = 2, .every = 100, .best = 250}), ElementsAre());
  EXPECT_THAT(StepsToDrop({100}, {}), ElementsAre());
  EXPECT_THAT(StepsToDrop({0, 7, 9}, {.base = 0}), ElementsAre()) << "what a run may go back to";
  EXPECT_THAT(StepsToDrop({0, 10, 22, 24}, {.base = 20}), ElementsAre(0)) << "20 was not saved";
  EXPECT_THAT(StepsToDrop({22, 24, 26}, {.base = 20}), ElementsAre(22)) << "nor what is before";
}

TEST_F(StateStoreTest, GivesBackWhatWasSaved) {
  EXPECT_FALSE(Load().value().has_value());
  ASSERT_TRUE(Save(7).ok());
  const auto state = Load().value();
  ASSERT_TRUE(state.has_value());
  const TrainingPosition expected = PositionAt(7);
  EXPECT_EQ(state->position().step, 7);
  EXPECT_EQ(state->position().cursor, expected.cursor);
  EXPECT_EQ(state->position().tokens, expected.tokens);
  EXPECT_EQ(state->position().run, expected.run);
  EXPECT_EQ(state->position().last_loss, expected.last_loss);
  std::vector<float> read(1000);
  ASSERT_TRUE(state->Read("p/w", read).ok());
  EXPECT_EQ(read, values_);
  EXPECT_EQ(state->Read("m/w", read).code(), absl::StatusCode::kDataLoss);  // another size
  EXPECT_EQ(state->Read("v/w", read).code(), absl::StatusCode::kDataLoss);
}

TEST_F(StateStoreTest, KeepsTheNewestTwo) {
  for (const int64_t step : {10, 20, 30, 40}) ASSERT_TRUE(Save(step).ok());
  EXPECT_THAT(store_.Steps(), ElementsAre(30, 40));
}

TEST_F(StateStoreTest, RefusesEveryChangedByteAndTakesTheStateBefore) {
  ASSERT_TRUE(Save(10).ok());
  ASSERT_TRUE(Save(20).ok());
  const std::string whole = ReadFile(store_.PathOf(20)).value();
  for (size_t at = 0; at < whole.size(); at += at < 400 ? 7 : 501) {
    Damage(20, [&](std::string& bytes) {
      bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ 1);
    });
    damages_.clear();
    const auto state = Load();
    ASSERT_TRUE(state.ok()) << at;
    EXPECT_EQ((*state)->position().step, 10) << at;
    EXPECT_THAT(damages_, ElementsAre(HasSubstr("state-000000000020.floe is damaged"))) << at;
  }
}

TEST_F(StateStoreTest, RefusesTruncatedFiles) {
  ASSERT_TRUE(Save(10).ok());
  const std::string whole = ReadFile(store_.PathOf(10)).value();
  for (const size_t length : {size_t{0}, size_t{5}, size_t{20}, size_t{100}, whole.size() - 1}) {
    Damage(10, [&](std::string& bytes) { bytes = whole.substr(0, length); });
    const auto state = Load();
    EXPECT_EQ(state.status().code(), absl::StatusCode::kDataLoss) << length;
    EXPECT_THAT(state.status().message(), HasSubstr("to train from the start"));
  }
}

TEST_F(StateStoreTest, RefusesHeadersThatLieUnderARightChecksum) {
  ASSERT_TRUE(Save(10).ok());
  const auto sign = [](std::string& bytes) {
    bytes.resize(bytes.size() - 64);
    bytes += Sha256::Hex(bytes);
  };
  Damage(10, [&](std::string& bytes) {
    bytes.erase(bytes.size() - 64 - 40, 40);  // ten floats less than the header says
    sign(bytes);
  });
  EXPECT_EQ(Load().status().code(), absl::StatusCode::kDataLoss);
  ASSERT_TRUE(Save(10).ok());
  Damage(10, [&](std::string& bytes) {
    bytes.replace(8, 8, 8, '\xFF');  // a header longer than any file
    sign(bytes);
  });
  EXPECT_EQ(Load().status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(StateStoreTest, AFullDiskKeepsTheLastGoodState) {
  ASSERT_TRUE(Save(10).ok());
  ASSERT_TRUE(Save(20).ok());
  {
    const test::FileSizeLimit full(3000);
    const absl::Status failed = Save(30);
    EXPECT_EQ(failed.code(), absl::StatusCode::kResourceExhausted) << failed;
    EXPECT_THAT(failed.message(), HasSubstr("state-000000000030.floe"));
  }
  EXPECT_THAT(store_.Steps(), ElementsAre(10, 20));
  EXPECT_EQ(Load().value()->position().step, 20);
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "states")) {
    files += entry.is_regular_file();
  }
  EXPECT_EQ(files, 2u);  // nothing half-written stays
  EXPECT_TRUE(Save(30).ok());
}

}  // namespace
}  // namespace floe::trainer
