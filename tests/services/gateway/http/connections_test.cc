// How connections are used and left: keep-alive, pipelining, hang-ups, slow readers, the drain.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
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

TEST(ConnectionsTest, AConnectionIsKeptForManyRequestsAndClosedWhenAsked) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(client.Post(kChat, i % 2 == 0 ? kPlain : kStream).status, 200);
  }
  const HttpAnswer last = client.Post(kChat, kPlain, kConsumerKey, "Connection: close\r\n");
  EXPECT_EQ(last.status, 200);
  EXPECT_EQ(last.headers.at("connection"), "close");
  EXPECT_TRUE(client.ReadToEnd());
}

TEST(ConnectionsTest, Http10IsAnsweredWithoutChunksAndClosed) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  std::string request = PostText(kChat, kStream);
  request.replace(request.find("HTTP/1.1"), 8, "HTTP/1.0");
  client.Write(request);
  const HttpAnswer answer = client.ReadAnswer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_FALSE(answer.headers.contains("transfer-encoding"));
  EXPECT_EQ(EventsOf(answer.body).back(), "[DONE]");
}

TEST(ConnectionsTest, PipelinedRequestsAreAnsweredInOrder) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  client.Write(absl::StrCat(PostText(kChat, kPlain, kConsumerKey, "X-Request-Id: one\r\n"),
                            PostText(kChat, kStream, kConsumerKey, "X-Request-Id: two\r\n"),
                            PostText(kChat, "{", kConsumerKey, "X-Request-Id: three\r\n"),
                            PostText(kChat, kPlain, kConsumerKey, "X-Request-Id: four\r\n")));
  for (const char* id : {"one", "two", "three", "four"}) {
    EXPECT_EQ(client.ReadAnswer().headers["x-request-id"], id);
  }
}

TEST(ConnectionsTest, ARequestSentWhileAStreamRunsIsKept) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  fleet.worker().Behave(FakeWorker::Flood(100));
  client.Write(PostText(kChat, kStream));
  ASSERT_THAT(client.ReadUntil("xxx"), HasSubstr("200 OK"));
  // More than is read ahead: the stream must go on all the same.
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(client.Write(PostText(kChat, kPlain)));
  for (int i = 0; i < 1000; ++i) ASSERT_THAT(client.ReadUntil("xxx"), HasSubstr("xxx"));
}

TEST(ConnectionsTest, ExpectContinueIsAnsweredBeforeTheBody) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  const std::string request = PostText(kChat, kPlain, kConsumerKey, "Expect: 100-continue\r\n");
  const size_t head = request.find("\r\n\r\n") + 4;
  client.Write(request.substr(0, head));
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Write(request.substr(head));
  EXPECT_EQ(client.ReadAnswer().status, 200);
}

TEST(ConnectionsTest, ABodyMayComeByteByByte) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  for (const char byte : PostText(kChat, kPlain)) client.Write(std::string_view(&byte, 1));
  EXPECT_EQ(client.ReadAnswer().status, 200);
}

TEST(ConnectionsTest, AHangUpInAStreamCancelsTheWorkersCall) {
  FakeFleet fleet;
  fleet.worker().Behave(FakeWorker::HangAfter("first words"));
  HttpClient client(fleet.port());
  client.Write(PostText(kChat, kStream));
  ASSERT_THAT(client.ReadUntil("first words"), HasSubstr("first words"));
  client.Close();
  EXPECT_TRUE(fleet.worker().WaitForCancelled(1));
}

TEST(ConnectionsTest, AHangUpBeforeTheFirstTokenCancelsTheWorkersCall) {
  FakeFleet fleet;
  fleet.worker().Behave(FakeWorker::HangAfter(""));
  for (const char* body : {kPlain, kStream}) {
    HttpClient client(fleet.port());
    client.Write(PostText(kChat, body));
    ASSERT_TRUE(fleet.worker().WaitForCalls(body == kPlain ? 1 : 2));
    client.Close();
    EXPECT_TRUE(fleet.worker().WaitForCancelled(body == kPlain ? 1 : 2));
  }
}

TEST(ConnectionsTest, AHangUpInAPlainAnswerCancelsTheWorkersCall) {
  FakeFleet fleet;
  fleet.worker().Behave(FakeWorker::HangAfter("half an answer"));
  HttpClient client(fleet.port());
  client.Write(PostText(kChat, kPlain));
  ASSERT_TRUE(fleet.worker().WaitForCalls(1));
  client.Close();
  EXPECT_TRUE(fleet.worker().WaitForCancelled(1));
  fleet.http().Drain(absl::Seconds(20));
  EXPECT_THAT(fleet.metrics(), HasSubstr("floe_gateway_requests_total{code=\"499\""));
}

// Answers at once, and is not done before the client has hung up.
class AnswersAndLingers final : public HttpHandler {
 public:
  Awaitable<void> Handle(HttpRequest, HttpReply& reply) override {
    const auto executor = co_await boost::asio::this_coro::executor;
    // Behind the start of the read that notices hang-ups.
    co_await boost::asio::post(executor, boost::asio::use_awaitable);
    HttpHead head;
    const absl::Status sent = co_await reply.Send(std::move(head), "{}");
    EXPECT_TRUE(sent.ok());
    boost::asio::steady_timer never(executor, boost::asio::steady_timer::time_point::max());
    co_await never.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }
  std::pair<HttpHead, std::string> Refuse(const absl::Status&) override { return {}; }
};

// The hang-up is read while the answer's books are still being closed: nobody reads it twice.
TEST(ConnectionsTest, AHangUpRightBehindTheAnswerEndsTheConnection) {
  AnswersAndLingers handler;
  runtime::Metrics metrics;
  GatewayMetrics gateway_metrics(metrics);
  const runtime::Logger logger("gateway", runtime::LogLevel::kError, [](std::string_view) {});
  const auto server = HttpServer::Start({.listen = "127.0.0.1:0", .threads = 1, .limits = {}},
                                        {handler, gateway_metrics, logger});
  ASSERT_TRUE(server.ok()) << server.status();
  HttpClient client((*server)->port());
  ASSERT_EQ(client.Get("/").status, 200);
  client.CloseSending();
  EXPECT_TRUE(client.ReadToEnd()) << "it waits for another request";
}

TEST(ConnectionsTest, AClientThatStopsReadingIsCutOffAndItsWorkCancelled) {
  FakeFleet fleet(
      {.limits = {.write_timeout = absl::Milliseconds(200), .send_buffer_bytes = 4096}});
  fleet.worker().Behave(FakeWorker::Flood(4096));
  HttpClient client(fleet.port(), /*receive_buffer=*/4096);
  client.Write(PostText(kChat, kStream));
  ASSERT_THAT(client.ReadUntil("xxx"), HasSubstr("200 OK"));
  EXPECT_TRUE(fleet.worker().WaitForCancelled(1));
}

// It is never still for as long as the limit, and still has no right to the connection.
TEST(ConnectionsTest, AClientThatTakesAByteAtATimeIsCutOff) {
  constexpr size_t kAnswer = 3 << 20;
  const auto taken = [&](absl::Duration timeout, size_t stretch) {
    FakeFleet fleet(
        {.limits = {
             .write_timeout = timeout, .write_stretch_bytes = stretch, .send_buffer_bytes = 4096}});
    fleet.worker().Behave([&](grpc::ServerContext&, const inference::v1::GenerateRequest&,
                              FakeWorker::Writer& writer) {
      inference::v1::GenerateResponse piece;
      piece.add_ids(1);
      piece.set_text(std::string(kAnswer, 'x'));
      piece.mutable_finish()->set_reason(inference::v1::Finish::STOP);
      writer.Write(piece);
      return grpc::Status::OK;
    });
    HttpClient client(fleet.port(), /*receive_buffer=*/4096);
    client.Write(PostText(kChat, kPlain, kConsumerKey, "Connection: close\r\n"));
    return client.Trickle();
  };
  EXPECT_LT(taken(absl::Milliseconds(50), 1 << 30), kAnswer / 2);
  EXPECT_GT(taken(absl::Seconds(20), 1 << 30), kAnswer) << "it was slow, and not wrong";
}

TEST(ConnectionsTest, AClientThatSendsAByteAtATimeIsCutOff) {
  FakeFleet fleet({.limits = {.header_timeout = absl::Milliseconds(50),
                              .body_timeout = absl::Milliseconds(50)}});
  HttpClient other(fleet.port());
  int refused = 0;
  for (const char* begin : {"GET /v1/models HTTP/1.1\r\nX-Long: ",
                            "POST /v1/completions HTTP/1.1\r\nContent-Length: 2000000\r\n\r\n"}) {
    HttpClient client(fleet.port());
    client.Write(begin);
    const std::string count =
        absl::StrCat("floe_gateway_requests_total{code=\"408\",route=\"refused\"} ", ++refused);
    for (int i = 0; i < 10'000 && fleet.metrics().find(count) == std::string::npos; ++i) {
      ASSERT_TRUE(client.Write("x"));
      ASSERT_EQ(other.Get("/v1/models").status, 200);
    }
    EXPECT_EQ(client.ReadAnswer().status, 408);
  }
}

// The lowest descriptor is free again, and no other one until this goes.
class OneFreeDescriptor {
 public:
  OneFreeDescriptor() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const int lowest = ::open("/dev/null", O_RDONLY);
    rlimit now = before_;
    now.rlim_cur = static_cast<rlim_t>(lowest) + 1;
    ::setrlimit(RLIMIT_NOFILE, &now);
    ::close(lowest);
  }
  ~OneFreeDescriptor() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST(ConnectionsTest, OutOfFileDescriptorsTheServerServesWhomItHasAndTakesTheOthersLater) {
  FakeFleet fleet;
  HttpClient kept(fleet.port());
  ASSERT_EQ(kept.Post(kChat, kPlain).status, 200);
  const auto failed = [&] {
    const std::string metrics = fleet.metrics();
    const std::string name = "\nfloe_gateway_http_accepts_failed_total ";
    return std::atoi(metrics.c_str() + metrics.find(name) + name.size());
  };
  std::optional<OneFreeDescriptor> limit(std::in_place);
  HttpClient waiting(fleet.port());  // has the last one
  const auto begun = std::chrono::steady_clock::now();
  waiting.Write(PostText(kChat, kPlain));
  const auto is_late = [&] {
    return std::chrono::steady_clock::now() - begun > std::chrono::seconds(20);
  };
  while (failed() < 3 && !is_late()) ASSERT_EQ(kept.Post(kChat, kPlain).status, 200);
  EXPECT_GE(failed(), 3) << "it tries no more";
  // It does not spin: three failures are two pauses of 50 ms.
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(90));
  limit.reset();
  EXPECT_EQ(waiting.ReadAnswer().status, 200);
}

TEST(ConnectionsTest, ASlowReaderSlowsItsWorkerDown) {
  FakeFleet fleet({.limits = {.send_buffer_bytes = 4096}});
  std::atomic<int64_t> written{0};
  fleet.worker().Behave(
      [&](grpc::ServerContext&, const inference::v1::GenerateRequest&, FakeWorker::Writer& writer) {
        inference::v1::GenerateResponse piece;
        piece.set_text(std::string(4096, 'x'));
        while (written < 100'000 && writer.Write(piece)) ++written;
        return grpc::Status::CANCELLED;
      });
  HttpClient client(fleet.port(), /*receive_buffer=*/4096);
  client.Write(PostText(kChat, kStream));
  // The client takes a little and stops; another's answers show that time passes meanwhile.
  ASSERT_THAT(client.ReadUntil("xxx"), HasSubstr("200 OK"));
  HttpClient other(fleet.port());
  for (int i = 0; i < 200; ++i) ASSERT_EQ(other.Get("/v1/models").status, 200);
  // What TCP and HTTP/2 hold in flight, not the 400 MB that the worker would write.
  EXPECT_LT(written * 4096, 16 << 20);
  client.Close();
  EXPECT_TRUE(fleet.worker().WaitForCancelled(1));
}

TEST(ConnectionsTest, ADrainLetsAnswersFinishAndClosesTheRest) {
  FakeFleet fleet;
  std::atomic<bool> go_on{false};
  fleet.worker().Behave(
      [&](grpc::ServerContext&, const inference::v1::GenerateRequest&, FakeWorker::Writer& writer) {
        inference::v1::GenerateResponse piece;
        piece.set_text("begun ");
        writer.Write(piece);
        go_on.wait(false);
        piece.set_text("and finished");
        piece.mutable_finish()->set_reason(inference::v1::Finish::STOP);
        writer.Write(piece);
        return grpc::Status::OK;
      });
  HttpClient idle(fleet.port()), streaming(fleet.port()), waiting(fleet.port());
  ASSERT_EQ(idle.Get("/v1/models").status, 200);
  streaming.Write(PostText(kChat, kStream));
  waiting.Write(PostText(kChat, kPlain));
  ASSERT_THAT(streaming.ReadUntil("begun"), HasSubstr("200 OK"));
  ASSERT_TRUE(fleet.worker().WaitForCalls(2));
  std::jthread drain([&] { fleet.http().Drain(absl::Seconds(20)); });
  EXPECT_TRUE(idle.ReadToEnd());
  HttpClient late(fleet.port());
  EXPECT_EQ(late.Get("/v1/models").status, 0);
  go_on = true;
  go_on.notify_all();
  EXPECT_THAT(streaming.ReadUntil("[DONE]"), HasSubstr("and finished"));
  const HttpAnswer plain = waiting.ReadAnswer();
  EXPECT_EQ(json::parse(plain.body)["choices"][0]["message"]["content"], "begun and finished");
  EXPECT_EQ(plain.headers.at("connection"), "close");
  EXPECT_TRUE(streaming.ReadToEnd());
  drain.join();
}

TEST(ConnectionsTest, TheGracePeriodEndsAnswersThatTakeTooLong) {
  FakeFleet fleet;
  fleet.worker().Behave(FakeWorker::HangAfter("for ever"));
  HttpClient client(fleet.port());
  client.Write(PostText(kChat, kStream));
  ASSERT_THAT(client.ReadUntil("for ever"), HasSubstr("200 OK"));
  fleet.http().Drain(absl::Milliseconds(50));
  EXPECT_TRUE(client.ReadToEnd());
  EXPECT_TRUE(fleet.worker().WaitForCancelled(1));
}

}  // namespace
}  // namespace floe::gateway
