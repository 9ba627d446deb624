#include "trainer/state_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <climits>
#include <cmath>
#include <limits>

#include "nlohmann/json.hpp"

namespace floe::trainer {
namespace {

using nlohmann::json;
using testing::HasSubstr;

StateHeader Sample() {
  StateHeader header;
  header.position.step = 7;
  header.position.cursor = {.epoch = 2, .position = 30, .rng = {1, 2, 3, UINT64_MAX}};
  header.position.tokens = INT64_MAX;
  header.position.threads = INT_MAX;
  header.position.processes = 4;
  header.position.run = "a \"run\"";
  header.position.last_loss = 0.1;
  header.position.best_step = 5;
  header.position.rewinds = 1;
  header.tensors = {{"p/w", 1000}, {"m/w", 2}};
  return header;
}

std::string RefusalOf(const std::string& member, const json& value) {
  json changed = json::parse(StateHeaderJson(Sample()));
  changed[member] = value;
  const auto header = ParseStateHeader(changed.dump());
  EXPECT_TRUE(absl::IsInvalidArgument(header.status())) << member << " " << value;
  return std::string(header.status().message());
}

TEST(StateHeaderTest, GivesBackWhatWasWritten) {
  const auto header = ParseStateHeader(StateHeaderJson(Sample()));
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(*header, Sample());
}

// A run goes on after a held-out loss that is no number, so its state must be readable.
TEST(StateHeaderTest, LossesThatAreNoNumbersComeBack) {
  StateHeader wild = Sample();
  wild.position.held_out = std::numeric_limits<double>::quiet_NaN();
  wild.position.best_held_out = std::numeric_limits<double>::infinity();
  wild.position.mean_loss = -std::numeric_limits<double>::infinity();
  const auto header = ParseStateHeader(StateHeaderJson(wild));
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_TRUE(std::isnan(header->position.held_out));
  EXPECT_EQ(header->position.best_held_out, wild.position.best_held_out);
  EXPECT_EQ(header->position.mean_loss, wild.position.mean_loss);
}

TEST(StateHeaderTest, ReadsWhatEarlierVersionsWrote) {
  json old = json::parse(StateHeaderJson(Sample()));
  for (const char* added :
       {"processes", "best_held_out", "best_step", "worse_in_a_row", "mean_loss", "rewinds"}) {
    old.erase(added);
  }
  old["held_out"] = nullptr;  // a loss that was no number
  const auto header = ParseStateHeader(old.dump());
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->position.processes, 1);
  EXPECT_EQ(header->position.best_step, 0);
  EXPECT_TRUE(std::isnan(header->position.held_out));
}

TEST(StateHeaderTest, ANumberThatDoesNotFitIsRefusedByName) {
  // These were converted: 2^32 + 2 threads were two, a position of -1 stood before the first.
  EXPECT_THAT(RefusalOf("threads", int64_t{INT_MAX} + 1),
              HasSubstr("threads must be a whole number from 0 to 2147483647 and is 2147483648"));
  EXPECT_THAT(RefusalOf("position", -1), HasSubstr("position must be a whole number from 0"));
  EXPECT_THAT(RefusalOf("step", 1e300), HasSubstr("step must be"));
  EXPECT_THAT(RefusalOf("tokens", UINT64_MAX), HasSubstr("tokens must be"));
  EXPECT_THAT(RefusalOf("epoch", 1.5), HasSubstr("epoch must be"));
  EXPECT_THAT(RefusalOf("processes", true), HasSubstr("processes must be"));
  EXPECT_THAT(RefusalOf("rewinds", "1"), HasSubstr("rewinds must be"));
  EXPECT_THAT(RefusalOf("run", 3), HasSubstr("run must be a text"));
  EXPECT_THAT(RefusalOf("seconds", "soon"), HasSubstr("seconds must be a number"));
}

TEST(StateHeaderTest, RandomNumbersThatStandStillAreRefused) {
  EXPECT_THAT(RefusalOf("rng", {0, 0, 0, 0}), HasSubstr("not all of them 0"));
  EXPECT_THAT(RefusalOf("rng", {1, 2, 3}), HasSubstr("four whole numbers"));
  EXPECT_THAT(RefusalOf("rng", {1, 2, 3, -4}), HasSubstr("four whole numbers"));
  EXPECT_THAT(RefusalOf("rng", {1, 2, 3, 4.5}), HasSubstr("four whole numbers"));
}

TEST(StateHeaderTest, TensorsStandOnceWithTheirLength) {
  const auto refusal = [](const char* tensors) {
    return RefusalOf("tensors", json::parse(tensors));
  };
  EXPECT_THAT(refusal(R"([["w", 1], ["w", 1]])"), HasSubstr("there once"));
  EXPECT_THAT(refusal(R"([["w", -1]])"), HasSubstr("[name, length]"));
  EXPECT_THAT(refusal(R"([["w", 1, 2]])"), HasSubstr("[name, length]"));
  EXPECT_THAT(refusal(R"({"w": 1})"), HasSubstr("a list"));
}

TEST(StateHeaderTest, WhatIsNoHeaderIsRefused) {
  for (const char* text : {"", "[]", "{\"step\":1", "{\"step\":1,\"step\":1}"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseStateHeader(text).status())) << text;
  }
  EXPECT_THAT(ParseStateHeader("{}").status().message(), HasSubstr("step is missing"));
}

}  // namespace
}  // namespace floe::trainer
