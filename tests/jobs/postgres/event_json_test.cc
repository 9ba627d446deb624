#include "jobs/postgres/event_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace floe::jobs {
namespace {

using What = std::variant<Progress, LogLine, State>;

TEST(EventJsonTest, ComesBackUnchanged) {
  const std::vector<What> all = {
      Progress{},
      Progress{.step = 7,
               .steps = 100,
               .metrics = {{"loss", 2.125}, {"gflops", 1e-300}},
               .remaining = absl::Milliseconds(12345),
               .device = "cpu: one \"fast\" one, 2 threads"},
      LogLine{"sample", "He said: \"no\"\n\u2603 and \x01"},
      LogLine{"", ""},
      State::kCancelling,
  };
  for (const What& what : all) {
    const auto back = WhatFromJson(WhatToJson(what));
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(*back, what) << WhatToJson(what);
  }
}

TEST(EventJsonTest, KeepsNumbersThatJsonDoesNotHave) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto back = ProgressFromJson(
      ProgressToJson({.metrics = {{"a", std::nan("")}, {"b", kInfinity}, {"c", -kInfinity}}}));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_TRUE(std::isnan(back->metrics.at("a")));
  EXPECT_EQ(back->metrics.at("b"), kInfinity);
  EXPECT_EQ(back->metrics.at("c"), -kInfinity);
}

TEST(EventJsonTest, DamagedTextIsDataLoss) {
  for (const char* text : {"", "{", "[]", "{}", "{\"state\":\"HAPPY\"}", "{\"progress\":{}}",
                           "{\"progress\":{\"step\":1,\"steps\":1,\"metrics\":{\"a\":\"b\"}}}"}) {
    EXPECT_EQ(WhatFromJson(text).status().code(), absl::StatusCode::kDataLoss) << text;
  }
}

}  // namespace
}  // namespace floe::jobs
