#include "trainer/schedule.h"

#include <gtest/gtest.h>

namespace floe::trainer {
namespace {

TrainSettings Settings(ScheduleKind schedule) {
  TrainSettings settings;
  settings.steps = 101;
  settings.warmup_steps = 10;
  settings.learning_rate = 1.0;
  settings.min_learning_rate = 0.1;
  settings.schedule = schedule;
  return settings;
}

TEST(ScheduleTest, WarmsUpLinearly) {
  for (const ScheduleKind kind : {ScheduleKind::kCosine, ScheduleKind::kWsd}) {
    EXPECT_DOUBLE_EQ(LearningRate(Settings(kind), 0), 0.1);
    EXPECT_DOUBLE_EQ(LearningRate(Settings(kind), 4), 0.5);
    EXPECT_DOUBLE_EQ(LearningRate(Settings(kind), 9), 1.0);
  }
}

TEST(ScheduleTest, CosineFallsFromTheHighestToTheLowest) {
  const TrainSettings settings = Settings(ScheduleKind::kCosine);
  EXPECT_DOUBLE_EQ(LearningRate(settings, 10), 1.0);
  EXPECT_NEAR(LearningRate(settings, 40), 0.775, 1e-12);  // a third: 0.1 + 0.9 * 0.75
  EXPECT_NEAR(LearningRate(settings, 55), 0.55, 1e-12);   // half
  EXPECT_NEAR(LearningRate(settings, 70), 0.325, 1e-12);
  EXPECT_DOUBLE_EQ(LearningRate(settings, 100), 0.1);
}

TEST(ScheduleTest, WsdIsStableThenFallsOverTheLastFifth) {
  const TrainSettings settings = Settings(ScheduleKind::kWsd);
  EXPECT_DOUBLE_EQ(LearningRate(settings, 10), 1.0);
  EXPECT_DOUBLE_EQ(LearningRate(settings, 80), 1.0);
  EXPECT_DOUBLE_EQ(LearningRate(settings, 90), 0.55);
  EXPECT_DOUBLE_EQ(LearningRate(settings, 100), 0.1);
}

TEST(ScheduleTest, NeverLeavesItsBoundsAtAnySize) {
  for (const ScheduleKind kind : {ScheduleKind::kCosine, ScheduleKind::kWsd}) {
    for (int64_t steps = 1; steps < 12; ++steps) {
      for (int64_t warmup = 0; warmup <= steps; ++warmup) {
        TrainSettings settings = Settings(kind);
        settings.steps = steps;
        settings.warmup_steps = warmup;
        for (int64_t step = 0; step < steps; ++step) {
          const double rate = LearningRate(settings, step);
          EXPECT_GT(rate, 0) << steps << " " << warmup << " " << step;
          EXPECT_LE(rate, 1.0) << steps << " " << warmup << " " << step;
        }
      }
    }
  }
}

}  // namespace
}  // namespace floe::trainer
