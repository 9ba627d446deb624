// Bad requests: each gets OpenAI's error object, the right status, and leaves the server well.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

#include "tests/services/gateway/http/fake_fleet.h"
#include "tests/services/gateway/http/http_client.h"

namespace floe::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr char kChat[] = "/v1/chat/completions";
constexpr char kCompletions[] = "/v1/completions";
constexpr char kHello[] =
    R"({"model": "hamlet", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4})";

// `answer` is an error of that shape; gives its error object.
json ErrorOf(const HttpAnswer& answer, int status, const std::string& code) {
  EXPECT_EQ(answer.status, status) << answer.body;
  const json body = json::parse(answer.body, nullptr, false);
  if (!body.is_object() || !body.contains("error")) {
    ADD_FAILURE() << "no error object: " << answer.body;
    return json::object();
  }
  const json& error = body["error"];
  EXPECT_EQ(error["code"], code) << answer.body;
  for (const char* key : {"message", "type", "param", "code"}) EXPECT_TRUE(error.contains(key));
  EXPECT_TRUE(answer.headers.contains("x-request-id"));
  return error;
}

class RefusalsTest : public testing::Test {
 protected:
  HttpAnswer Chat(std::string_view body) { return client_.Post(kChat, body); }

  // A stopped worker list would show a call that must not have been made.
  void ExpectNoWork() { EXPECT_TRUE(fleet_.worker().requests().empty()); }

  FakeFleet fleet_;
  HttpClient client_{fleet_.port()};
};

TEST_F(RefusalsTest, WithoutAKeyThatWorksItIs401BeforeAnythingElse) {
  for (const char* body : {kHello, "{not json"}) {
    ErrorOf(client_.Post(kChat, body, ""), 401, "invalid_api_key");
    const HttpAnswer answer = client_.Post(kChat, body, "floe-nobody");
    ErrorOf(answer, 401, "invalid_api_key");
    EXPECT_EQ(answer.headers.at("www-authenticate"), "Bearer");
  }
  ErrorOf(client_.Get("/v1/models", "floe-nobody"), 401, "invalid_api_key");
  ExpectNoWork();
}

TEST_F(RefusalsTest, AWrongARevokedAndAnExpiredKeyAre401) {
  ErrorOf(client_.Post(kChat, kHello, "floe-nobody"), 401, "invalid_api_key");
  ASSERT_EQ(client_.Post(kChat, kHello, kConsumerKey).status, 200);
  const size_t asked = fleet_.worker().requests().size();
  fleet_.keys().Fail(kConsumerKey, "KEY_EXPIRED");
  const HttpAnswer expired = client_.Post(kChat, kHello, kConsumerKey);
  const json error = ErrorOf(expired, 401, "key_expired");
  EXPECT_EQ(error["type"], "invalid_request_error");
  EXPECT_EQ(expired.headers.at("www-authenticate"), "Bearer");
  ErrorOf(client_.Get("/v1/models", kConsumerKey), 401, "key_expired");
  fleet_.keys().Fail(kConsumerKey, "KEY_REVOKED");
  ErrorOf(client_.Post(kChat, kHello, kConsumerKey), 401, "invalid_api_key");
  EXPECT_EQ(fleet_.worker().requests().size(), asked);
}

TEST_F(RefusalsTest, ARoleBelowConsumerIs403) {
  const json error = ErrorOf(client_.Post(kChat, kHello, kViewerKey), 403, "role_too_low");
  EXPECT_EQ(error["type"], "permission_error");
  EXPECT_THAT(error["message"].get<std::string>(), HasSubstr("consumer"));
  ErrorOf(client_.Get("/v1/models", kViewerKey), 403, "role_too_low");
}

TEST_F(RefusalsTest, AnotherTeamsModelDoesNotExist) {
  ErrorOf(client_.Post(kChat, kHello, kOtherTeamKey), 404, "model_not_found");
  EXPECT_TRUE(json::parse(client_.Get("/v1/models", kOtherTeamKey).body)["data"].empty());
}

TEST_F(RefusalsTest, AnUnknownModelIs404ThatNamesIt) {
  const json error =
      ErrorOf(Chat(R"({"model": "othello", "messages": [{"role": "user", "content": "x"}]})"), 404,
              "model_not_found");
  EXPECT_THAT(error["message"].get<std::string>(), HasSubstr("othello"));
  EXPECT_EQ(error["param"], "model");
}

TEST_F(RefusalsTest, MalformedBodiesAre400AndTheConnectionGoesOn) {
  ErrorOf(Chat("{not json"), 400, "invalid_json");
  ErrorOf(Chat(""), 400, "invalid_json");
  ErrorOf(Chat("[]"), 400, "invalid_type");
  ErrorOf(Chat("{\"model\": \"\xff\xfe\"}"), 400, "invalid_json");
  ErrorOf(Chat(std::string(100'000, '[')), 400, "invalid_json");
  const json error = ErrorOf(Chat(R"({"model": "hamlet", "messages": "hi"})"), 400, "invalid_type");
  EXPECT_EQ(error["param"], "messages");
  ErrorOf(
      Chat(R"({"model": "hamlet", "messages": [{"role": "user", "content": "x"}], "store": true})"),
      400, "unsupported_parameter");
  ExpectNoWork();
  EXPECT_EQ(Chat(kHello).status, 200);
}

TEST_F(RefusalsTest, MoreThanTheContextIsContextLengthExceeded) {
  const std::string text(600, 'a');
  json error = ErrorOf(
      Chat(json{{"model", "hamlet"}, {"messages", {{{"role", "user"}, {"content", text}}}}}.dump()),
      400, "context_length_exceeded");
  EXPECT_EQ(error["param"], "messages");
  EXPECT_THAT(error["message"].get<std::string>(),
              HasSubstr("maximum context length is 512 tokens"));
  ErrorOf(
      client_.Post(kCompletions,
                   R"({"model": "hamlet", "prompt": "abc", "max_tokens": 9223372036854775807})"),
      400, "context_length_exceeded");
  EXPECT_EQ(
      client_
          .Post(kCompletions,
                json{{"model", "hamlet"}, {"prompt", std::string(500, 'a')}, {"max_tokens", 12}}
                    .dump())
          .status,
      200);
  ErrorOf(
      client_.Post(
          kCompletions,
          json{{"model", "hamlet"}, {"prompt", std::string(501, 'a')}, {"max_tokens", 12}}.dump()),
      400, "context_length_exceeded");
}

TEST_F(RefusalsTest, IdsOutsideTheVocabularyAreNamed) {
  const json error =
      ErrorOf(client_.Post(kCompletions, R"({"model": "hamlet", "prompt": [1, 259]})"), 400,
              "invalid_value");
  EXPECT_THAT(error["message"].get<std::string>(), HasSubstr("the id at index 1 is 259"));
  ErrorOf(client_.Post(kCompletions, R"({"model": "hamlet", "prompt": ""})"), 400, "invalid_value");
}

TEST_F(RefusalsTest, UnknownPathsAndMethodsHaveTheSameShape) {
  ErrorOf(client_.Get("/"), 404, "unknown_url");
  ErrorOf(client_.Get("/v1/models/"), 404, "unknown_url");
  ErrorOf(client_.Get("/v1/images"), 404, "unknown_url");
  const HttpAnswer get = client_.Get(kChat);
  ErrorOf(get, 405, "method_not_allowed");
  EXPECT_EQ(get.headers.at("allow"), "POST");
  const HttpAnswer post = client_.Post("/v1/models", "{}");
  ErrorOf(post, 405, "method_not_allowed");
  EXPECT_EQ(post.headers.at("allow"), "GET");
}

TEST_F(RefusalsTest, ACompressedBodyIs415) {
  ErrorOf(client_.Post(kChat, kHello, kConsumerKey, "Content-Encoding: gzip\r\n"), 415,
          "unsupported_encoding");
}

TEST_F(RefusalsTest, WhatIsNoHttpIs400AndClosed) {
  client_.Write("\x16\x03\x01 this is TLS, or nothing\r\n\r\n");
  const HttpAnswer answer = client_.ReadAnswer();
  ErrorOf(answer, 400, "malformed_http");
  EXPECT_EQ(answer.headers.at("connection"), "close");
  EXPECT_TRUE(client_.ReadToEnd());
}

TEST_F(RefusalsTest, TwoWaysToEndABodyAreRefused) {
  client_.Write(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
      "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n");
  EXPECT_EQ(client_.ReadAnswer().status, 400);
  EXPECT_TRUE(client_.ReadToEnd());
}

TEST(LimitsTest, ABodyOverTheLimitIs413WithoutReadingItAll) {
  FakeFleet fleet({.limits = {.max_body_bytes = 10'000}});
  HttpClient said(fleet.port());
  said.Write(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n");
  ErrorOf(said.ReadAnswer(), 413, "body_too_large");
  HttpClient chunked(fleet.port());
  chunked.Write(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = absl::StrCat("1000\r\n", std::string(4096, 'x'), "\r\n");
  for (int i = 0; i < 200; ++i) {
    if (!chunked.Write(chunk)) break;
  }
  ErrorOf(chunked.ReadAnswer(), 413, "body_too_large");
}

TEST(LimitsTest, HeadersOverTheLimitAre431) {
  FakeFleet fleet({.limits = {.max_header_bytes = 2000}});
  HttpClient client(fleet.port());
  client.Write(absl::StrCat("GET /v1/models HTTP/1.1\r\nX-Long: ", std::string(5000, 'a')));
  ErrorOf(client.ReadAnswer(), 431, "headers_too_large");
}

TEST(LimitsTest, HeadersAndBodiesThatDoNotComeAre408) {
  FakeFleet fleet({.limits = {.header_timeout = absl::Milliseconds(100),
                              .body_timeout = absl::Milliseconds(100)}});
  HttpClient headers(fleet.port());
  headers.Write("GET /v1/mod");
  ErrorOf(headers.ReadAnswer(), 408, "request_timeout");
  EXPECT_TRUE(headers.ReadToEnd());
  HttpClient body(fleet.port());
  body.Write("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{");
  ErrorOf(body.ReadAnswer(), 408, "request_timeout");
}

TEST(LimitsTest, AnIdleConnectionIsClosedWithoutAWord) {
  FakeFleet fleet({.limits = {.idle_timeout = absl::Milliseconds(50)}});
  HttpClient client(fleet.port());
  EXPECT_EQ(client.ReadUntil("x"), "");
}

TEST(LimitsTest, ConnectionsOverTheLimitAre503) {
  FakeFleet fleet({.limits = {.max_connections = 2}});
  HttpClient first(fleet.port()), second(fleet.port());
  ASSERT_EQ(first.Get("/v1/models").status, 200);
  ASSERT_EQ(second.Get("/v1/models").status, 200);
  HttpClient third(fleet.port());
  const HttpAnswer refused = third.ReadAnswer();
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(json::parse(refused.body)["error"]["code"], "overloaded");
  EXPECT_EQ(first.Get("/v1/models").status, 200);
}

}  // namespace
}  // namespace floe::gateway
