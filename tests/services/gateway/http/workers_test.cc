// Workers that are full, gone, or fail in the middle.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/services/gateway/http/fake_fleet.h"
#include "tests/services/gateway/http/http_client.h"

namespace floe::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr char kChat[] = "/v1/chat/completions";
constexpr char kPlain[] =
    R"({"model": "hamlet", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4})";
constexpr char kStream[] =
    R"({"model": "hamlet", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4,
        "stream": true})";

FakeWorker::Behaviour Refuse(grpc::StatusCode code, std::string message) {
  return [=](grpc::ServerContext&, const inference::v1::GenerateRequest&, FakeWorker::Writer&) {
    return grpc::Status(code, message);
  };
}

// One piece, then an end without a finish.
FakeWorker::Behaviour BreakAfter(std::string text, grpc::Status status) {
  return
      [=](grpc::ServerContext&, const inference::v1::GenerateRequest&, FakeWorker::Writer& writer) {
        inference::v1::GenerateResponse piece;
        piece.set_text(text);
        writer.Write(piece);
        return status;
      };
}

json ErrorOf(const HttpAnswer& answer) { return json::parse(answer.body)["error"]; }

TEST(WorkersTest, AFullQueueIs429WithRetryAfter) {
  FakeFleet fleet;
  fleet.worker().Behave(Refuse(grpc::StatusCode::RESOURCE_EXHAUSTED, "the queue is full"));
  HttpClient client(fleet.port());
  for (const char* body : {kPlain, kStream}) {
    const HttpAnswer answer = client.Post(kChat, body);
    EXPECT_EQ(answer.status, 429);
    EXPECT_EQ(answer.headers.at("retry-after"), "1");
    EXPECT_EQ(ErrorOf(answer)["code"], "overloaded");
    EXPECT_EQ(ErrorOf(answer)["type"], "rate_limit_error");
  }
}

TEST(WorkersTest, AnotherWorkerAnswersForOneThatIsFull) {
  FakeFleet fleet({.workers = 2});
  HttpClient client(fleet.port());
  fleet.worker(0).Behave(Refuse(grpc::StatusCode::RESOURCE_EXHAUSTED, "the queue is full"));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(client.Post(kChat, kPlain).status, 200);
  EXPECT_EQ(fleet.worker(1).requests().size(), 10u);
}

TEST(WorkersTest, AnotherWorkerAnswersForOneThatIsGone) {
  FakeFleet fleet({.workers = 2});
  HttpClient client(fleet.port());
  fleet.StopWorker(0);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(client.Post(kChat, kPlain).status, 200);
  EXPECT_EQ(fleet.worker(1).requests().size(), 20u);
}

TEST(WorkersTest, OneCheckpointStaysOnOneWorkerWhileItIsIdle) {
  FakeFleet fleet({.workers = 3});
  HttpClient client(fleet.port());
  for (int i = 0; i < 9; ++i) ASSERT_EQ(client.Post(kChat, kPlain).status, 200);
  size_t most = 0;
  for (size_t i = 0; i < 3; ++i) most = std::max(most, fleet.worker(i).requests().size());
  EXPECT_EQ(most, 9u);
}

TEST(WorkersTest, NoWorkerAtAllIs503WithRetryAfter) {
  FakeFleet fleet({.workers = 2});
  fleet.StopWorker(0);
  fleet.StopWorker(1);
  HttpClient client(fleet.port());
  const HttpAnswer answer = client.Post(kChat, kStream);
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(ErrorOf(answer)["code"], "no_worker");
  EXPECT_EQ(answer.headers.at("retry-after"), "1");
}

TEST(WorkersTest, AFailureInTheMiddleOfAStreamIsAnErrorEventAndNoDone) {
  FakeFleet fleet;
  fleet.worker().Behave(
      BreakAfter("half", grpc::Status(grpc::StatusCode::UNAVAILABLE, "the worker drains")));
  HttpClient client(fleet.port());
  const HttpAnswer answer = client.Post(kChat, kStream);
  EXPECT_EQ(answer.status, 200);
  const std::vector<std::string> events = EventsOf(answer.body);
  EXPECT_THAT(events[1], HasSubstr("half"));
  EXPECT_EQ(json::parse(events.back())["error"]["code"], "unavailable");
  EXPECT_THAT(answer.body, testing::Not(HasSubstr("[DONE]")));
  // The connection is still good.
  EXPECT_EQ(client.Get("/v1/models").status, 200);
}

TEST(WorkersTest, AFailureInTheMiddleOfAPlainAnswerIsAnHttpError) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  fleet.worker().Behave(BreakAfter("half", grpc::Status::OK));
  EXPECT_EQ(client.Post(kChat, kPlain).status, 503);
  fleet.worker().Behave(
      BreakAfter("half", grpc::Status(grpc::StatusCode::INTERNAL, "secret path /srv/blobs")));
  const HttpAnswer answer = client.Post(kChat, kPlain);
  EXPECT_EQ(answer.status, 500);
  EXPECT_THAT(answer.body, testing::Not(HasSubstr("/srv")));
  EXPECT_THAT(answer.body, HasSubstr(answer.headers.at("x-request-id")));
}

TEST(WorkersTest, ACheckpointThatNoWorkerHasIsNotTheClientsMistake) {
  FakeFleet fleet;
  fleet.worker().Behave(Refuse(grpc::StatusCode::NOT_FOUND, "no blob"));
  HttpClient client(fleet.port());
  EXPECT_EQ(client.Post(kChat, kPlain).status, 500);
}

TEST(WorkersTest, TheRequestTimeoutEndsTheWorkersCall) {
  FakeFleet fleet({.limits = {.request_timeout = absl::Milliseconds(300)}});
  fleet.worker().Behave(FakeWorker::HangAfter(""));
  HttpClient client(fleet.port());
  const HttpAnswer answer = client.Post(kChat, kPlain);
  EXPECT_EQ(answer.status, 504);
  EXPECT_EQ(ErrorOf(answer)["code"], "timeout");
  EXPECT_TRUE(fleet.worker().WaitForCancelled(1));
}

}  // namespace
}  // namespace floe::gateway
