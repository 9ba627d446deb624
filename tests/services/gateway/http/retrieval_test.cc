// Answers that rest on documents, through the HTTP server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "gateway/context/context.h"
#include "tests/services/gateway/http/fake_fleet.h"
#include "tests/services/gateway/http/http_client.h"

namespace floe::gateway {
namespace {

using nlohmann::json;
using testing::SizeIs;

constexpr char kPath[] = "/v1/completions";

json Asking(json retrieval, bool stream = false) {
  return {{"model", "hamlet"},
          {"prompt", "Where is Hamlet?"},
          {"max_tokens", 4},
          {"stream", stream},
          {"floe", {{"retrieval", std::move(retrieval)}}}};
}

json ErrorOf(const HttpAnswer& answer) { return json::parse(answer.body)["error"]; }

// Of the byte tokenizer.
std::string TextOf(const inference::v1::GenerateRequest& request) {
  return {request.prompt_ids().begin(), request.prompt_ids().end()};
}

TEST(RetrievalHttpTest, TheModelGetsThePassagesAndTheAnswerCitesThem) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  for (const bool stream : {false, true}) {
    const HttpAnswer answer =
        client.Post(kPath, Asking({{"collection", "handbook"}, {"top_k", 2}}, stream).dump());
    ASSERT_EQ(answer.status, 200) << answer.body;
    json floe;
    if (stream) {
      const std::vector<std::string> events = EventsOf(answer.body);
      floe = json::parse(events.at(events.size() - 2))["floe"];
    } else {
      floe = json::parse(answer.body)["floe"];
    }
    ASSERT_THAT(floe["citations"], SizeIs(1)) << floe;
    const json& citation = floe["citations"][0];
    EXPECT_EQ(citation["document"], "teams/nlp/collections/handbook/documents/castles");
    EXPECT_EQ(citation["begin"], 100);
    EXPECT_EQ(citation["end"], 121);
    EXPECT_EQ(citation["score"], 0.5);
    EXPECT_EQ(floe["retrieval"]["collection"], "handbook");
    EXPECT_NE(floe["retrieval"]["usage_id"], floe["usage_id"]);
  }
  ASSERT_EQ(fleet.retrieval().requests().size(), 2u);
  EXPECT_EQ(fleet.retrieval().requests()[0].query(), "Where is Hamlet?");
  EXPECT_EQ(fleet.retrieval().requests()[0].top_k(), 2);
  EXPECT_EQ(TextOf(fleet.worker().requests().at(0)),
            WithPassages({kFakePassage}, "Where is Hamlet?"));
}

TEST(RetrievalHttpTest, WithoutItNothingIsSearched) {
  FakeFleet fleet({.policy = "defaults: {retrieval: {collection: handbook}}"});
  HttpClient client(fleet.port());
  const HttpAnswer answer = client.Post(kPath, Asking("off").dump());
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_TRUE(json::parse(answer.body)["floe"]["retrieval"].is_null());
  EXPECT_TRUE(fleet.retrieval().requests().empty());
}

TEST(RetrievalHttpTest, ACollectionThatTheTeamDoesNotHaveIsNotFound) {
  FakeFleet fleet;
  HttpClient client(fleet.port());
  const HttpAnswer answer = client.Post(kPath, Asking({{"collection", "secrets"}}).dump());
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(ErrorOf(answer)["code"], "collection_not_found");
  EXPECT_EQ(ErrorOf(answer)["param"], "floe.retrieval.collection");
}

TEST(RetrievalHttpTest, WhileNobodyCanSearchTheRequestIsRefusedAndOthersGoOn) {
  FakeFleet fleet;
  fleet.retrieval().SetAway({grpc::StatusCode::UNAVAILABLE, "away"});
  HttpClient client(fleet.port());
  const HttpAnswer answer = client.Post(kPath, Asking({{"collection", "handbook"}}).dump());
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(ErrorOf(answer)["code"], "retrieval_unavailable");
  EXPECT_TRUE(answer.headers.contains("retry-after"));
  EXPECT_EQ(client.Post(kPath, Asking("off").dump()).status, 200);
  EXPECT_EQ(fleet.worker().requests().size(), 1u);
}

TEST(RetrievalHttpTest, AGatewayWithoutRetrievalSaysSo) {
  FakeFleet fleet({.retrieval = false});
  const HttpAnswer answer =
      HttpClient(fleet.port()).Post(kPath, Asking({{"collection", "handbook"}}).dump());
  EXPECT_EQ(answer.status, 501);
  EXPECT_EQ(ErrorOf(answer)["code"], "retrieval_not_offered");
}

}  // namespace
}  // namespace floe::gateway
