#include "services/runner/event_buffer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "tests/support/fake_clock.h"

namespace floe::runner {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string Said(const jobs::Event& event) {
  if (const auto* progress = std::get_if<jobs::Progress>(&event.what)) {
    return absl::StrCat(event.sequence, ":step ", progress->step);
  }
  return absl::StrCat(event.sequence, ":", std::get<jobs::LogLine>(event.what).text);
}

class EventBufferTest : public testing::Test {
 protected:
  std::vector<std::string> Batch(size_t limit = 100) {
    std::vector<std::string> said;
    for (const jobs::Event& event : buffer_.Batch(limit)) said.push_back(Said(event));
    return said;
  }
  void Step(int64_t step) { buffer_.Progress({.step = step}); }

  test::FakeClock clock_;
  int told_ = 0;
  EventBuffer buffer_{
      clock_,
      {.attempt = 2, .last_sequence = 10, .capacity = 4, .max_text = 20, .on_event = [this] {
         ++told_;
       }}};
};

TEST_F(EventBufferTest, EventsComeInOrderUntilTheyAreAcknowledged) {
  buffer_.Info("a");
  clock_.Advance(absl::Seconds(1));
  buffer_.Info("b");
  EXPECT_EQ(told_, 2);
  EXPECT_THAT(Batch(), ElementsAre("11:a", "12:b"));
  buffer_.Info("c");
  EXPECT_THAT(Batch(), ElementsAre("11:a", "12:b", "13:c"));
  buffer_.Acknowledge(12);
  EXPECT_THAT(Batch(), ElementsAre("13:c"));
  buffer_.Acknowledge(13);
  EXPECT_THAT(Batch(), IsEmpty());
  EXPECT_EQ(buffer_.waiting(), 0u);
}

TEST_F(EventBufferTest, CarriesTimeAndAttempt) {
  const absl::Time then = clock_.Now();
  buffer_.Info("a");
  clock_.Advance(absl::Seconds(5));
  const auto batch = buffer_.Batch(1);
  EXPECT_EQ(batch[0].time, then);
  EXPECT_EQ(batch[0].attempt, 2);
}

TEST_F(EventBufferTest, ABatchHasALimit) {
  for (const char* text : {"a", "b", "c"}) buffer_.Info(text);
  EXPECT_THAT(Batch(2), ElementsAre("11:a", "12:b"));
  buffer_.Acknowledge(12);
  EXPECT_THAT(Batch(2), ElementsAre("13:c"));
}

TEST_F(EventBufferTest, AFullBufferDropsTheOldestProgressFirst) {
  buffer_.Info("a");
  for (int step = 1; step <= 5; ++step) Step(step);
  EXPECT_THAT(Batch(), ElementsAre("11:a", "12:step 3", "13:step 4", "14:step 5"));
}

TEST_F(EventBufferTest, LostLinesAreCountedAndSaid) {
  for (const char* text : {"a", "b", "c", "d", "e", "f"}) buffer_.Info(text);
  EXPECT_THAT(Batch(), ElementsAre("11:c", "12:d", "13:e", "14:f"));
  buffer_.Acknowledge(14);
  EXPECT_THAT(Batch(), ElementsAre(testing::StartsWith("15:2 log lines before this one")));
}

TEST_F(EventBufferTest, WhatIsOnItsWayIsNeverDropped) {
  for (const char* text : {"a", "b", "c", "d"}) buffer_.Info(text);
  ASSERT_THAT(Batch(), ElementsAre("11:a", "12:b", "13:c", "14:d"));
  buffer_.Info("e");
  Step(1);
  EXPECT_THAT(Batch(), ElementsAre("11:a", "12:b", "13:c", "14:d"));
}

TEST_F(EventBufferTest, RefusedEventsGiveUpTheirNumbers) {
  for (const char* text : {"a", "b", "c"}) buffer_.Info(text);
  ASSERT_THAT(Batch(2), ElementsAre("11:a", "12:b"));
  buffer_.DropNumbered();
  EXPECT_THAT(Batch(), ElementsAre("11:c", testing::StartsWith("12:2 log lines")));
}

TEST_F(EventBufferTest, LongLinesAreCutBetweenCharacters) {
  buffer_.Info(absl::StrCat(std::string(19, 'x'), "\u00e9 and more"));
  EXPECT_THAT(Batch(), ElementsAre(absl::StrCat("11:", std::string(19, 'x'), " [11 bytes cut]")));
}

TEST_F(EventBufferTest, BytesThatAreNoUtf8AreReplaced) {
  buffer_.Log("sample", "ab\xff");
  EXPECT_THAT(Batch(), ElementsAre("11:ab\uFFFD"));
}

}  // namespace
}  // namespace floe::runner
