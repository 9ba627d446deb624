// /v1/embeddings: the request, the worker's call, the answer and its refusals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/services/gateway/http/fake_fleet.h"
#include "tests/services/gateway/http/http_client.h"

namespace floe::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::SizeIs;
namespace pb = inference::v1;

constexpr char kPath[] = "/v1/embeddings";

std::string Body(const json& more = json::object()) {
  json body = {{"model", "hamlet"}, {"input", {"abc", "de"}}};
  body.update(more);
  return body.dump();
}

json ErrorOf(const HttpAnswer& answer) { return json::parse(answer.body)["error"]; }

TEST(EmbeddingsTest, TextsBecomeVectorsInTheirOrder) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  const HttpAnswer answer =
      client.Post(kPath, Body({{"service_tier", "priority"}, {"floe", {{"pooling", "last"}}}}));
  ASSERT_EQ(answer.status, 200) << answer.body;
  const json body = json::parse(answer.body);
  EXPECT_EQ(body["object"], "list");
  EXPECT_EQ(body["model"], "hamlet");
  ASSERT_THAT(body["data"], SizeIs(2));
  EXPECT_EQ(body["data"][0]["embedding"], json({97.0, 3.0}));
  EXPECT_EQ(body["data"][1]["embedding"], json({100.0, 2.0}));
  EXPECT_EQ(body["data"][1]["index"], 1);
  EXPECT_EQ(body["usage"]["prompt_tokens"], 5);
  EXPECT_EQ(body["usage"]["total_tokens"], 5);
  EXPECT_EQ(body["floe"]["checkpoint"], fleet.registry().digest());
  EXPECT_EQ(body["floe"]["usage_id"], answer.headers.at("x-floe-usage-id"));
  EXPECT_THAT(answer.headers.at("server-timing"), HasSubstr("embed;dur="));
  ASSERT_EQ(fleet.worker().embeds().size(), 1u);
  const pb::EmbedRequest asked = fleet.worker().embeds()[0];
  EXPECT_EQ(asked.checkpoint_digest(), fleet.registry().digest());
  EXPECT_EQ(asked.pooling(), pb::EmbedRequest::LAST);
  EXPECT_EQ(asked.service_tier(), "priority");
  EXPECT_EQ(asked.usage_id(), body["floe"]["usage_id"]);
  EXPECT_EQ(asked.dimensions(), 0);
  ASSERT_EQ(client.Post(kPath, Body({{"dimensions", 2}})).status, 200);
  EXPECT_EQ(fleet.worker().embeds()[1].dimensions(), 2);
}

TEST(EmbeddingsTest, IdsAndBase64) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  const json ids = json::parse(
      client.Post(kPath, Body({{"input", {97, 98, 99}}, {"encoding_format", "base64"}})).body);
  ASSERT_THAT(ids["data"], SizeIs(1));
  EXPECT_EQ(ids["data"][0]["embedding"], "AADCQgAAQEA=");  // 97 and 3
}

TEST(EmbeddingsTest, ManyVectorsAreWrittenOffTheIoThread) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  // Two numbers each: above what is written at once.
  const json body =
      json::parse(client.Post(kPath, Body({{"input", std::vector<std::string>(2048, "x")}})).body);
  EXPECT_THAT(body["data"], SizeIs(2048));
}

TEST(EmbeddingsTest, RefusalsAreThoseOfAnswers) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  EXPECT_EQ(client.Post(kPath, Body(), "floe-nobody").status, 401);
  EXPECT_EQ(client.Post(kPath, Body(), kViewerKey).status, 403);
  EXPECT_EQ(client.Post(kPath, Body({{"model", "othello"}})).status, 404);
  HttpAnswer answer = client.Post(kPath, Body({{"dimensions", 9}}));
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(ErrorOf(answer)["param"], "dimensions");
  EXPECT_THAT(ErrorOf(answer)["message"].get<std::string>(), HasSubstr("have 8 values"));
  answer = client.Post(kPath, Body({{"input", {"a", std::string(600, 'b')}}}));
  EXPECT_EQ(ErrorOf(answer)["code"], "context_length_exceeded");
  EXPECT_EQ(ErrorOf(answer)["param"], "input[1]");
  answer = client.Get(kPath);
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.headers.at("allow"), "POST");
  EXPECT_TRUE(fleet.worker().embeds().empty());
}

TEST(EmbeddingsTest, AnotherWorkerEmbedsForOneThatIsFullOrGone) {
  FakeFleet fleet({.workers = 2});
  HttpClient client(fleet.port());
  fleet.worker(0).RefuseEmbeds({grpc::StatusCode::RESOURCE_EXHAUSTED, "full"});
  EXPECT_EQ(client.Post(kPath, Body()).status, 200);
  fleet.worker(1).RefuseEmbeds({grpc::StatusCode::RESOURCE_EXHAUSTED, "full"});
  const HttpAnswer full = client.Post(kPath, Body());
  EXPECT_EQ(full.status, 429);
  EXPECT_EQ(ErrorOf(full)["code"], "overloaded");
  fleet.worker(1).RefuseEmbeds(grpc::Status::OK);
  fleet.StopWorker(0);
  EXPECT_EQ(client.Post(kPath, Body()).status, 200);
}

}  // namespace
}  // namespace floe::gateway
