// How connections are used and left: keep-alive, pipelining, hang-ups, slow readers, the drain.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/strings/str_cat.h"
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

TEST(ConnectionsTest, AClientThatStopsReadingIsCutOffAndItsWorkCancelled) {
  FakeFleet fleet(
      {.limits = {.write_timeout = absl::Milliseconds(200), .send_buffer_bytes = 4096}});
  fleet.worker().Behave(FakeWorker::Flood(4096));
  HttpClient client(fleet.port(), /*receive_buffer=*/4096);
  client.Write(PostText(kChat, kStream));
  ASSERT_THAT(client.ReadUntil("xxx"), HasSubstr("200 OK"));
  EXPECT_TRUE(fleet.worker().WaitForCancelled(1));
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
