// X-Request-Timeout: how long a client will wait, and what workers are told of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>

#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

#include "tests/services/gateway/http/fake_fleet.h"
#include "tests/services/gateway/http/http_client.h"

namespace floe::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr char kPath[] = "/v1/completions";
constexpr char kAsk[] = R"({"model": "hamlet", "prompt": "Hello", "max_tokens": 2})";
constexpr char kStream[] =
    R"({"model": "hamlet", "prompt": "Hello", "max_tokens": 2, "stream": true})";

std::string Header(std::string_view value) {
  return absl::StrCat("X-Request-Timeout: ", std::string(value), "\r\n");
}

// The deadline that the worker sees, as time after `begun`, of an answer asked for with that
// header.
absl::Duration LeftAtWorker(FakeFleet& fleet, const std::string& headers) {
  std::promise<absl::Time> deadline;
  fleet.worker().Behave([&](grpc::ServerContext& context,
                            const inference::v1::GenerateRequest& request,
                            FakeWorker::Writer& writer) {
    deadline.set_value(absl::FromChrono(context.deadline()));
    return FakeWorker::Usual()(context, request, writer);
  });
  const absl::Time begun = absl::Now();
  EXPECT_EQ(HttpClient(fleet.port()).Post(kPath, kAsk, kConsumerKey, headers).status, 200);
  return deadline.get_future().get() - begun;
}

TEST(TimeoutTest, WorkersAreToldWhatTheClientWillWaitAndAtMostWhatTheServerAllows) {
  FakeFleet fleet({.limits = {.request_timeout = absl::Minutes(5)}});
  const auto near = [](absl::Duration left, absl::Duration timeout) {
    // From the arrival, which is after the client's begin; and gRPC rounds.
    return left > timeout - absl::Seconds(1) && left < timeout + absl::Seconds(20);
  };
  EXPECT_TRUE(near(LeftAtWorker(fleet, Header("60")), absl::Minutes(1)));
  EXPECT_TRUE(near(LeftAtWorker(fleet, Header("90.5")), absl::Seconds(90.5)));
  EXPECT_TRUE(near(LeftAtWorker(fleet, Header("1e9")), absl::Minutes(5)));
  EXPECT_TRUE(near(LeftAtWorker(fleet, ""), absl::Minutes(5)));
}

TEST(TimeoutTest, AnAnswerThatIsNotThereByThenEndsWithAnError) {
  FakeFleet fleet;
  fleet.worker().Behave(FakeWorker::HangAfter(""));
  const HttpAnswer whole = HttpClient(fleet.port()).Post(kPath, kAsk, kConsumerKey, Header("0.2"));
  EXPECT_EQ(whole.status, 504);
  EXPECT_EQ(json::parse(whole.body)["error"]["code"], "timeout");
  fleet.worker().Behave(FakeWorker::HangAfter("first words"));
  const HttpAnswer stream =
      HttpClient(fleet.port()).Post(kPath, kStream, kConsumerKey, Header("0.2"));
  EXPECT_EQ(stream.status, 200);
  EXPECT_EQ(json::parse(EventsOf(stream.body).back())["error"]["code"], "timeout");
  EXPECT_TRUE(fleet.worker().WaitForCancelled(2));
}

TEST(TimeoutTest, WhatIsNoTimeIsRefusedByNameToWhoHasAKey) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  for (const char* value : {"soon", "0", "-1", "nan", "inf", "5s", "1 2"}) {
    for (const char* path : {kPath, "/v1/embeddings"}) {
      const HttpAnswer answer = client.Post(path, kAsk, kConsumerKey, Header(value));
      EXPECT_EQ(answer.status, 400) << value;
      const json error = json::parse(answer.body)["error"];
      EXPECT_EQ(error["code"], "invalid_value") << value;
      EXPECT_EQ(error["param"], "X-Request-Timeout") << value;
      EXPECT_THAT(error["message"].get<std::string>(), HasSubstr(value));
    }
  }
  EXPECT_EQ(client.Post(kPath, kAsk, "", Header("soon")).status, 401);
  EXPECT_TRUE(fleet.worker().requests().empty());
}

}  // namespace
}  // namespace floe::gateway
