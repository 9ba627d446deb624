#include "services/runtime/logging.h"

#include <vector>

#include "gtest/gtest.h"
#include <nlohmann/json.hpp>

namespace floe::runtime {
namespace {

class LoggingTest : public testing::Test {
 protected:
  Logger MakeLogger(LogLevel least = LogLevel::kDebug) {
    return Logger("probe", least, [this](std::string_view line) { lines_.emplace_back(line); });
  }
  nlohmann::json Last() const { return nlohmann::json::parse(lines_.back()); }

  std::vector<std::string> lines_;
};

TEST_F(LoggingTest, AnEventIsOneJsonObject) {
  MakeLogger().Info(
      "loaded", {{"model", "hamlet"}, {"bytes", int64_t{42}}, {"seconds", 0.5}, {"cached", true}});
  const nlohmann::json event = Last();
  EXPECT_EQ(event["msg"], "loaded");
  EXPECT_EQ(event["level"], "info");
  EXPECT_EQ(event["service"], "probe");
  EXPECT_EQ(event["model"], "hamlet");
  EXPECT_EQ(event["bytes"], 42);
  EXPECT_EQ(event["seconds"], 0.5);
  EXPECT_EQ(event["cached"], true);
  EXPECT_TRUE(event.contains("ts"));
}

TEST_F(LoggingTest, WhateverAFieldHoldsTheLineStaysOneJsonLine) {
  MakeLogger().Error("bad \"input\"\n", {{"text", std::string_view("a\nb\x01\xff\"}", 7)}});
  EXPECT_EQ(lines_.size(), 1u);
  EXPECT_EQ(lines_[0].find('\n'), std::string::npos);
  EXPECT_EQ(Last()["msg"], "bad \"input\"\n");
}

TEST_F(LoggingTest, LowerLevelsAreLeftOut) {
  const Logger logger = MakeLogger(LogLevel::kWarning);
  logger.Debug("d");
  logger.Info("i");
  logger.Warning("w");
  logger.Error("e");
  ASSERT_EQ(lines_.size(), 2u);
  EXPECT_EQ(Last()["level"], "error");
}

TEST_F(LoggingTest, ARequestsLoggerCarriesItsIds) {
  const Logger logger = MakeLogger();
  logger.For("trace-1", "request-1").Info("x");
  EXPECT_EQ(Last()["trace_id"], "trace-1");
  EXPECT_EQ(Last()["request_id"], "request-1");
  logger.Info("y");
  EXPECT_FALSE(Last().contains("trace_id"));
}

TEST_F(LoggingTest, LevelsAreReadByName) {
  EXPECT_EQ(*ParseLogLevel("warning"), LogLevel::kWarning);
  EXPECT_FALSE(ParseLogLevel("loud").ok());
}

}  // namespace
}  // namespace floe::runtime
