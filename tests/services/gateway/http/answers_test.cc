// What a client gets: whole answers, streams, model lists, headers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

#include "tests/services/gateway/http/fake_fleet.h"
#include "tests/services/gateway/http/http_client.h"

namespace floe::gateway {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kChat[] = "/v1/chat/completions";
constexpr char kCompletions[] = "/v1/completions";
constexpr char kHello[] =
    R"({"model": "hamlet", "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 8, "seed": 7, "temperature": 0.5, "top_k": 40, "top_p": 0.9, "min_p": 0.05,
        "stop": ["\n\n"], "service_tier": "priority", "floe": {"cache": "off"}})";

// `body` as a stream.
std::string Streamed(std::string body, bool include_usage = false) {
  json request = json::parse(body);
  request["stream"] = true;
  if (include_usage) request["stream_options"] = {{"include_usage", true}};
  return request.dump();
}

// The text of a stream's chunks.
std::string TextOf(const std::vector<std::string>& events, bool chat) {
  std::string text;
  for (const std::string& event : events) {
    if (event == "[DONE]") continue;
    const json chunk = json::parse(event);
    for (const json& choice : chunk["choices"]) {
      text += chat ? choice["delta"].value("content", "") : choice["text"].get<std::string>();
    }
  }
  return text;
}

TEST(AnswersTest, APlainChatAnswerHasTextUsageAndEverythingAboutItself) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  const HttpAnswer answer = client.Post(kChat, kHello);
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.headers.at("content-type"), "application/json");
  EXPECT_THAT(answer.headers.at("server-timing"), HasSubstr("identify;dur="));
  EXPECT_THAT(answer.headers.at("server-timing"), HasSubstr("generate;dur="));
  const json body = json::parse(answer.body);
  EXPECT_EQ(body["object"], "chat.completion");
  EXPECT_EQ(body["id"], "chatcmpl-" + answer.headers.at("x-request-id"));
  EXPECT_EQ(body["model"], "hamlet");
  EXPECT_EQ(body["system_fingerprint"], "sha256:" + fleet.registry().digest());
  EXPECT_EQ(body["service_tier"], "priority");
  EXPECT_EQ(body["choices"][0]["message"]["role"], "assistant");
  EXPECT_EQ(body["choices"][0]["message"]["content"].get<std::string>().size(), 8u);
  EXPECT_EQ(body["choices"][0]["finish_reason"], "length");
  // <|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n, a byte a token.
  EXPECT_EQ(body["usage"]["prompt_tokens"], 1 + 10 + 1 + 1 + 1 + 10);
  EXPECT_EQ(body["usage"]["completion_tokens"], 8);
  EXPECT_EQ(body["usage"]["total_tokens"], 32);
  EXPECT_EQ(body["floe"]["checkpoint"], fleet.registry().digest());
  EXPECT_EQ(body["floe"]["model_version"], "teams/nlp/models/hamlet/versions/1");
  EXPECT_EQ(body["floe"]["service_tier_met"], "priority");
  EXPECT_EQ(body["floe"]["seed"], 7);
  EXPECT_EQ(body["floe"]["trace_id"].get<std::string>().size(), 32u);
  EXPECT_TRUE(body["floe"]["timings"].contains("generate_ms"));
}

TEST(AnswersTest, TheWorkerGetsTheRenderedIdsAndTheSampling) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  ASSERT_EQ(client.Post(kChat, kHello).status, 200);
  const inference::v1::GenerateRequest request = fleet.worker().requests().at(0);
  EXPECT_EQ(request.checkpoint_digest(), fleet.registry().digest());
  EXPECT_EQ(request.prompt_ids(0), 257u);
  EXPECT_EQ(request.prompt_ids(1), static_cast<uint32_t>('u'));
  EXPECT_EQ(request.max_tokens(), 8);
  EXPECT_FLOAT_EQ(request.sampling().temperature(), 0.5);
  EXPECT_EQ(request.sampling().top_k(), 40);
  EXPECT_FLOAT_EQ(request.sampling().top_p(), 0.9);
  EXPECT_FLOAT_EQ(request.sampling().min_p(), 0.05);
  EXPECT_EQ(request.sampling().seed(), 7u);
  EXPECT_THAT(request.stop(), ElementsAre("\n\n"));
  EXPECT_EQ(request.service_tier(), "priority");
}

TEST(AnswersTest, ATeamsPromptsShareAWorkersCacheWithinTheClientsOwnSalt) {
  FakeFleet fleet;
  fleet.worker().Behave([](grpc::ServerContext&, const inference::v1::GenerateRequest& request,
                           FakeWorker::Writer& writer) {
    inference::v1::GenerateResponse first, last;
    first.add_ids('a');
    first.set_text("a");
    first.set_cached_tokens(16);
    last.mutable_finish()->set_prompt_tokens(request.prompt_ids_size());
    last.mutable_finish()->set_completion_tokens(1);
    last.mutable_finish()->set_cached_tokens(16);
    return writer.Write(first) && writer.Write(last) ? grpc::Status::OK : grpc::Status::CANCELLED;
  });
  HttpClient client(fleet.port());
  json salted = json::parse(Streamed(kHello, /*include_usage=*/true));
  salted["cache_salt"] = "the user 7";
  const json plain = json::parse(client.Post(kChat, kHello).body);
  EXPECT_EQ(plain["usage"]["prompt_tokens_details"]["cached_tokens"], 16);
  const std::vector<std::string> events = EventsOf(client.Post(kChat, salted.dump()).body);
  EXPECT_EQ(json::parse(events[events.size() - 2])["usage"], plain["usage"]);
  const auto requests = fleet.worker().requests();
  EXPECT_EQ(requests.at(0).cache_salt(), "nlp");
  EXPECT_EQ(requests.at(1).cache_salt(), "nlp/the user 7");
}

TEST(AnswersTest, AStreamSaysTheSameAsThePlainAnswer) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  const json plain = json::parse(client.Post(kChat, kHello).body);
  const HttpAnswer streamed = client.Post(kChat, Streamed(kHello));
  ASSERT_EQ(streamed.status, 200);
  EXPECT_EQ(streamed.headers.at("content-type"), "text/event-stream; charset=utf-8");
  EXPECT_THAT(streamed.headers.at("server-timing"), HasSubstr("generate;dur="));
  const std::vector<std::string> events = EventsOf(streamed.body);
  EXPECT_EQ(TextOf(events, true), plain["choices"][0]["message"]["content"]);
  EXPECT_EQ(events.back(), "[DONE]");
  const json first = json::parse(events.front());
  EXPECT_EQ(first["object"], "chat.completion.chunk");
  EXPECT_EQ(first["choices"][0]["delta"]["role"], "assistant");
  EXPECT_TRUE(first["choices"][0]["finish_reason"].is_null());
  EXPECT_FALSE(first.contains("usage"));
  const json last = json::parse(events[events.size() - 2]);
  EXPECT_EQ(last["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(last["system_fingerprint"], "sha256:" + fleet.registry().digest());
  EXPECT_EQ(last["floe"]["checkpoint"], fleet.registry().digest());
  // The same again, on the same connection.
  EXPECT_EQ(TextOf(EventsOf(client.Post(kChat, Streamed(kHello)).body), true),
            plain["choices"][0]["message"]["content"]);
}

TEST(AnswersTest, IncludeUsageAddsOneChunkWithoutChoices) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  const auto events = EventsOf(client.Post(kChat, Streamed(kHello, true)).body);
  const json usage = json::parse(events[events.size() - 2]);
  EXPECT_TRUE(usage["choices"].empty());
  EXPECT_EQ(usage["usage"]["total_tokens"], 32);
  for (size_t i = 0; i + 2 < events.size(); ++i) {
    const json chunk = json::parse(events[i]);
    ASSERT_TRUE(chunk.contains("usage"));
    EXPECT_TRUE(chunk["usage"].is_null());
  }
}

TEST(AnswersTest, CompletionsTakeATextOrIds) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  const HttpAnswer text =
      client.Post(kCompletions, R"({"model": "hamlet@1", "prompt": "abc", "seed": 1})");
  ASSERT_EQ(text.status, 200) << text.body;
  const json body = json::parse(text.body);
  EXPECT_EQ(body["object"], "text_completion");
  EXPECT_EQ(body["choices"][0]["text"].get<std::string>().size(), 16u);  // OpenAI's default
  EXPECT_EQ(body["usage"]["prompt_tokens"], 3);
  const HttpAnswer ids =
      client.Post(kCompletions, R"({"model": "hamlet", "prompt": [97, 98, 99], "seed": 1})");
  EXPECT_EQ(json::parse(ids.body)["choices"], body["choices"]);
  const HttpAnswer stream = client.Post(
      kCompletions, R"({"model": "hamlet", "prompt": "abc", "seed": 1, "stream": true})");
  EXPECT_EQ(TextOf(EventsOf(stream.body), false), body["choices"][0]["text"]);
}

TEST(AnswersTest, WithoutASeedOneIsDrawnAndTold) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  const json body =
      json::parse(client.Post(kCompletions, R"({"model": "hamlet", "prompt": "abc"})").body);
  EXPECT_EQ(body["floe"]["seed"], 4711);
}

TEST(AnswersTest, ModelsListsWhatCanBeAsked) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  const json list = json::parse(client.Get("/v1/models").body);
  std::vector<std::string> ids;
  for (const json& model : list["data"]) ids.push_back(model["id"]);
  EXPECT_THAT(ids, ElementsAre("hamlet", "hamlet@canary", "draft@4"));
  EXPECT_EQ(list["data"][0]["owned_by"], "nlp");
  EXPECT_EQ(list["data"][0]["object"], "model");
  const HttpAnswer one = client.Get("/v1/models/hamlet%40production?x=1");
  ASSERT_EQ(one.status, 200) << one.body;
  EXPECT_EQ(json::parse(one.body)["id"], "hamlet@production");
  const HttpAnswer none = client.Get("/v1/models/othello");
  EXPECT_EQ(none.status, 404);
  EXPECT_EQ(json::parse(none.body)["error"]["code"], "model_not_found");
}

TEST(AnswersTest, OnlyModelsThatMayBeAskedAreListed) {
  FakeFleet fleet({.policy = "defaults: {models: [hamlet]}"});
  HttpClient client(fleet.port());
  const json list = json::parse(client.Get("/v1/models").body)["data"];
  ASSERT_EQ(list.size(), 1u) << list;
  EXPECT_EQ(list[0]["id"], "hamlet");
}

TEST(AnswersTest, RequestIdAndTraceOfTheClientAreCarriedThrough) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const HttpAnswer answer = client.Post(
      kChat, kHello, kConsumerKey,
      "X-Request-Id: my-request.1\r\ntraceparent: 00-" + trace + "-00f067aa0ba902b7-01\r\n");
  EXPECT_EQ(answer.headers.at("x-request-id"), "my-request.1");
  EXPECT_EQ(json::parse(answer.body)["floe"]["trace_id"], trace);
  EXPECT_THAT(fleet.registry().last_traceparent(), HasSubstr(trace));
  const HttpAnswer bad =
      client.Post(kChat, kHello, kConsumerKey, "X-Request-Id: a b\r\ntraceparent: 00-0-0-0\r\n");
  EXPECT_EQ(bad.headers.at("x-request-id").size(), 26u);
}

TEST(AnswersTest, ModelAndTokenizerAreFetchedOnce) {
  FakeFleet fleet({.models = {.fresh_for = absl::Hours(1)}});
  HttpClient client(fleet.port());
  for (int i = 0; i < 3; ++i) ASSERT_EQ(client.Post(kChat, kHello).status, 200);
  EXPECT_EQ(fleet.registry().resolves(), 1);
  EXPECT_EQ(fleet.registry().downloads(), 1);
}

TEST(AnswersTest, TheRegistryMayRestartWhileRequestsGoOn) {
  FakeFleet fleet({.models = {.fresh_for = absl::ZeroDuration()}});
  HttpClient client(fleet.port());
  ASSERT_EQ(client.Post(kChat, kHello).status, 200);
  fleet.registry().SetAway({grpc::StatusCode::UNAVAILABLE, "restarting"});
  EXPECT_EQ(client.Post(kChat, kHello).status, 200);
  fleet.registry().SetAway({grpc::StatusCode::NOT_FOUND, "deleted"});
  EXPECT_EQ(client.Post(kChat, kHello).status, 404);
}

TEST(AnswersTest, MetricsCountRequestsAndTokens) {
  FakeFleet fleet;
  {
    HttpClient client(fleet.port());
    ASSERT_EQ(client.Post(kChat, kHello).status, 200);
    ASSERT_EQ(client.Get("/nowhere").status, 404);
  }
  fleet.http().Drain(absl::Seconds(20));
  const std::string metrics = fleet.metrics();
  EXPECT_THAT(metrics, HasSubstr("floe_gateway_requests_total{code=\"200\",route=\"/v1/chat/"
                                 "completions\"} 1"));
  EXPECT_THAT(metrics, HasSubstr("floe_gateway_requests_total{code=\"404\",route=\"other\"} 1"));
  EXPECT_THAT(metrics, HasSubstr("floe_gateway_e2e_request_latency_seconds_count{route=\"/v1/chat/"
                                 "completions\"} 1"));
  EXPECT_THAT(metrics, HasSubstr("\nfloe_gateway_prompt_tokens_total "));
  EXPECT_THAT(metrics, HasSubstr("floe_gateway_generation_tokens_total 8"));
  EXPECT_THAT(metrics, HasSubstr("floe_gateway_stage_seconds_count{stage=\"quote\"} 1"));
  EXPECT_THAT(metrics, HasSubstr("floe_gateway_time_to_first_token_seconds_count 1"));
  EXPECT_THAT(metrics, HasSubstr("floe_gateway_num_requests_running 0"));
  EXPECT_THAT(metrics, HasSubstr("floe_gateway_http_connections 0"));
  EXPECT_THAT(metrics, HasSubstr("floe_gateway_http_connections_refused_total 0"));
}

// Billed are the prompt and what arrived; of a client that left, what had arrived by then.
TEST(AnswersTest, BilledTokensAreCountedByOpenTelemetrysName) {
  FakeFleet fleet;
  {
    HttpClient client(fleet.port());
    ASSERT_EQ(
        client.Post("/v1/completions", R"({"model": "hamlet", "prompt": "Once", "max_tokens": 6})")
            .status,
        200);
    ASSERT_EQ(
        client.Post("/v1/completions", R"({"model": "hamlet", "prompt": "Once", "max_tokens": 0})")
            .status,
        400);
    ASSERT_EQ(
        client.Post("/v1/embeddings", R"({"model": "hamlet", "input": ["ab", "cde"]})").status,
        200);
    fleet.worker().Behave(FakeWorker::HangAfter("first words"));
    client.Write(
        PostText("/v1/completions", R"({"model": "hamlet", "prompt": "Twice", "stream": true})"));
    ASSERT_THAT(client.ReadUntil("first words"), HasSubstr("first words"));
  }
  ASSERT_TRUE(fleet.worker().WaitForCancelled(1));
  fleet.http().Drain(absl::Seconds(20));
  const std::string metrics = fleet.metrics();
  const auto sum = [&](const std::string& operation, const std::string& type) {
    const std::string series = absl::StrCat(
        "gen_ai_client_token_usage_sum{gen_ai_operation_name=\"", operation,
        "\",gen_ai_provider_name=\"floe\",gen_ai_request_model=\"teams/nlp/models/hamlet\","
        "gen_ai_response_model=\"",
        fleet.registry().digest().substr(0, 12), "\",gen_ai_token_type=\"", type, "\"} ");
    const size_t at = metrics.find(series);
    return at == std::string::npos ? -1 : std::atoi(metrics.c_str() + at + series.size());
  };
  EXPECT_EQ(sum("text_completion", "input"), 4 + 5);
  EXPECT_EQ(sum("text_completion", "output"), 6 + 1);
  EXPECT_EQ(sum("embeddings", "input"), 2 + 3);
  EXPECT_EQ(sum("embeddings", "output"), -1) << "vectors have no output tokens";
}

}  // namespace
}  // namespace floe::gateway
