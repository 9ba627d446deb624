// Workers that are full, gone, or fail in the middle.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>

#include <nlohmann/json.hpp>

#include "base/error_reason.h"
#include "tests/services/gateway/http/fake_fleet.h"
#include "tests/services/gateway/http/http_client.h"
#include "tests/services/gateway/http/worker_behaviours.h"

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
  fleet.worker().Behave(Refuse(absl::ResourceExhaustedError("the queue is full")));
  HttpClient client(fleet.port());
  for (const char* body : {kPlain, kStream}) {
    const HttpAnswer answer = client.Post(kChat, body);
    EXPECT_EQ(answer.status, 429);
    EXPECT_EQ(answer.headers.at("retry-after"), "1");
    EXPECT_EQ(ErrorOf(answer)["code"], "overloaded");
    EXPECT_EQ(ErrorOf(answer)["type"], "rate_limit_error");
  }
}

TEST(WorkersTest, RetryAfterIsWhenTheFirstWorkerWillHaveRoom) {
  FakeFleet fleet({.workers = 2});
  int seconds = 7;
  for (size_t i = 0; i < 2; ++i, seconds = 3) {
    const absl::Status full =
        WithReason(absl::ResourceExhaustedError("the queue is full"), "QUEUE_FULL",
                   {{"retry_after_seconds", std::to_string(seconds)}});
    fleet.worker(i).Behave(Refuse(full));
  }
  HttpClient client(fleet.port());
  const HttpAnswer answer = client.Post(kChat, kPlain);
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.headers.at("retry-after"), "3");
}

// Workers count what they computed under this id, and billing compares.
TEST(WorkersTest, TheWorkerGetsTheIdThatTheAnswerIsChargedUnder) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  const HttpAnswer plain = client.Post(kChat, kPlain);
  const HttpAnswer stream = client.Post(kChat, kStream);
  const auto requests = fleet.worker().requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].usage_id(), json::parse(plain.body)["floe"]["usage_id"]);
  EXPECT_EQ(requests[1].usage_id(), stream.headers.at("x-floe-usage-id"));
  EXPECT_NE(requests[0].usage_id(), requests[1].usage_id());
  EXPECT_EQ(requests[0].attempt(), 1);
}

TEST(WorkersTest, AnotherWorkerAnswersForOneThatIsFull) {
  FakeFleet fleet({.workers = 2});
  HttpClient client(fleet.port());
  fleet.worker(0).Behave(Refuse(absl::ResourceExhaustedError("the queue is full")));
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

// Those of one prompt, and those that differ behind the first 64 ids, go to one worker; others
// share the workers.
TEST(WorkersTest, PromptsThatBeginAlikeGoToOneWorker) {
  FakeFleet fleet({.workers = 3});
  HttpClient client(fleet.port());
  const auto ask = [&](const std::string& begin, int end) {
    const json body = {{"model", "hamlet"},
                       {"prompt", begin + std::string(64, '.') + std::to_string(end)},
                       {"max_tokens", 1}};
    ASSERT_EQ(client.Post("/v1/completions", body.dump()).status, 200);
  };
  size_t workers_with_some = 0;
  std::vector<size_t> before(3);
  for (int prompt = 0; prompt < 12; ++prompt) {
    for (int i = 0; i < 5; ++i) ask(std::to_string(prompt), i);
    size_t took = 0;
    for (size_t i = 0; i < 3; ++i) {
      const size_t now = fleet.worker(i).requests().size();
      took += now > before[i] ? 1 : 0;
      workers_with_some += before[i] == 0 && now > 0 ? 1 : 0;
      before[i] = now;
    }
    EXPECT_EQ(took, 1u) << prompt;
  }
  EXPECT_GT(workers_with_some, 1u);
  EXPECT_THAT(fleet.metrics(),
              HasSubstr("floe_gateway_routed_calls_total{choice=\"affinity\"} 60"));
}

// The worker that has the prefix is busy with it: more than its part goes elsewhere.
TEST(WorkersTest, AHotPromptOverflowsToOtherWorkers) {
  FakeFleet fleet({.workers = 2});
  for (size_t i = 0; i < 2; ++i) fleet.worker(i).Behave(FakeWorker::HangAfter("x"));
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<HttpClient>(fleet.port()));
    ASSERT_TRUE(clients.back()->Write(PostText(kChat, kStream)));
    clients.back()->ReadUntil("\"x\"");
  }
  const size_t first = fleet.worker(0).requests().size();
  EXPECT_EQ(first + fleet.worker(1).requests().size(), 8u);
  EXPECT_GE(first, 3u);
  EXPECT_LE(first, 5u);
  EXPECT_THAT(fleet.metrics(), HasSubstr("floe_gateway_routed_calls_total{choice=\"overflow\"} 3"));
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

TEST(WorkersTest, AWorkerThatDiesInMidStreamIsReplacedAndTheTextIsTheSame) {
  constexpr char kLong[] =
      R"({"model": "hamlet", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 12,
          "stream": true, "seed": 99, "stream_options": {"include_usage": true}})";
  FakeFleet fleet({.workers = 2});
  HttpClient client(fleet.port());
  const HttpAnswer whole = client.Post(kChat, kLong);
  ASSERT_EQ(StreamedText(whole).size(), 12u);
  // Whoever is asked first dies, after any number of letters, the last among them.
  for (const int letters : {0, 1, 2, 5, 11, 12}) {
    FakeFleet broken({.workers = 2});
    std::atomic<int> calls{0};
    const auto first = DieAfter(letters, absl::UnavailableError("killed"));
    for (size_t i = 0; i < 2; ++i) {
      const auto usual = FakeWorker::Usual();
      broken.worker(i).Behave([&, first, usual](grpc::ServerContext& context,
                                                const inference::v1::GenerateRequest& request,
                                                FakeWorker::Writer& writer) {
        return calls++ == 0 ? first(context, request, writer) : usual(context, request, writer);
      });
    }
    HttpClient other(broken.port());
    const HttpAnswer answer = other.Post(kChat, kLong);
    EXPECT_EQ(StreamedText(answer), StreamedText(whole)) << letters;
    EXPECT_EQ(calls, 2);
    const json usage = json::parse(EventsOf(answer.body).end()[-2])["usage"];
    EXPECT_EQ(usage, json::parse(EventsOf(whole.body).end()[-2])["usage"]);
    // Nobody measured the whole of an answer that moved.
    const json floe = json::parse(EventsOf(answer.body).end()[-3])["floe"];
    EXPECT_EQ(floe["service_tier_met"], letters == 0 ? "default" : "flex") << letters;
    std::set<int> attempts;
    for (size_t i = 0; i < 2; ++i) {
      for (const auto& request : broken.worker(i).requests()) {
        EXPECT_EQ(request.usage_id(), answer.headers.at("x-floe-usage-id"));
        attempts.insert(request.attempt());
      }
    }
    EXPECT_EQ(attempts, (std::set<int>{1, 2}));
  }
}

TEST(WorkersTest, AWorkerThatGoesOnWithAnotherTokenEndsTheAnswer) {
  FakeFleet fleet({.workers = 2});
  std::atomic<int> calls{0};
  for (size_t i = 0; i < 2; ++i) {
    fleet.worker(i).Behave([&](grpc::ServerContext&, const inference::v1::GenerateRequest&,
                               FakeWorker::Writer& writer) {
      inference::v1::GenerateResponse piece;
      piece.add_ids(static_cast<uint32_t>(calls++));
      writer.Write(piece);
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "killed");
    });
  }
  HttpClient client(fleet.port());
  EXPECT_EQ(client.Post(kChat, kPlain).status, 500);
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
  fleet.worker().Behave(Refuse(absl::NotFoundError("no blob")));
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
