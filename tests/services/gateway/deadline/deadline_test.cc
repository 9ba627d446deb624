// How long a client will wait, from its HTTP header to a real worker's scheduler and back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "absl/strings/numbers.h"
#include <nlohmann/json.hpp>

#include "tests/services/gateway/http/fake_fleet.h"
#include "tests/services/gateway/http/http_client.h"
#include "tests/services/inference/crowd.h"
#include "tests/services/inference/worker_fixture.h"

namespace floe::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr int kLong = 8000;   // ids of a prompt
constexpr int kCrowd = 64;    // of them at the worker: half a minute of work and more
constexpr int kWaiting = 48;  // of those
constexpr char kPath[] = "/v1/completions";
constexpr char kAsk[] = R"({"model": "hamlet", "prompt": "Hello", "max_tokens": 2})";

class DeadlineTest : public inference::WorkerTest {
 protected:
  void SetUp() override {
    digest_ = inference::PublishCheckpoint(
        dir_ / "published", dir_ / "blobs",
        {.context = kLong + 10, .tokenizer_json = inference::ByteTokenizerJson("<|nothing|>")});
    inference::ModelPoolOptions options;
    options.serve.engine.num_threads = 1;
    options.serve.scheduler.queue.prompt_tokens = 2 * kCrowd * kLong;
    Start(options);
    fleet_.emplace(
        FakeFleetOptions{.worker_addresses = {address()}, .checkpoint = dir_ / "published"});
  }
  HttpAnswer Ask(const std::string& timeout) {
    return HttpClient(fleet_->port())
        .Post(kPath, kAsk, kConsumerKey, "X-Request-Timeout: " + timeout + "\r\n");
  }

  std::string digest_;
  std::optional<FakeFleet> fleet_;
};

TEST_F(DeadlineTest, WhatCannotBeginInTimeIsRefusedAtOnceAndSaysWhenToComeAgain) {
  // What a step costs is learned, and who has the time is served.
  ASSERT_TRUE(Generate(inference::LongPrompt(digest_, kLong)).status.ok());
  EXPECT_EQ(Ask("30").status, 200);

  inference::Crowd crowd(stub(), inference::LongPrompt(digest_, kLong), kCrowd);
  ASSERT_TRUE(crowd.Await(kWaiting));
  const HttpAnswer answer = Ask("5");
  EXPECT_EQ(answer.status, 429) << answer.body;
  EXPECT_EQ(json::parse(answer.body)["error"]["code"], "overloaded");
  EXPECT_THAT(answer.body, HasSubstr("would answer too late"));
  ASSERT_TRUE(answer.headers.contains("retry-after"));
  int seconds = 0;
  EXPECT_TRUE(absl::SimpleAtoi(answer.headers.at("retry-after"), &seconds));
  EXPECT_GE(seconds, 1);
}

}  // namespace
}  // namespace floe::gateway
