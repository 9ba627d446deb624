// The fields of OpenAI's API that a decoder can honour, from the HTTP request to the worker and
// back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

#include "tests/services/gateway/http/fake_fleet.h"
#include "tests/services/gateway/http/http_client.h"

namespace floe::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::SizeIs;
namespace pb = inference::v1;

constexpr char kChat[] = "/v1/chat/completions";
constexpr char kCompletions[] = "/v1/completions";

json Chat(const json& more = json::object()) {
  json body = {{"model", "hamlet"},
               {"messages", {{{"role", "user"}, {"content", "Hello"}}}},
               {"max_tokens", 4},
               {"seed", 7}};
  body.update(more);
  return body;
}
json Completion(const json& more = json::object()) {
  json body = {{"model", "hamlet"}, {"prompt", "abc"}, {"max_tokens", 4}, {"seed", 7}};
  body.update(more);
  return body;
}

// One letter a token, each with its log-probability and one other.
grpc::Status LikelyLetters(grpc::ServerContext&, const pb::GenerateRequest& request,
                           FakeWorker::Writer& writer) {
  for (int i = 0; i < request.max_tokens(); ++i) {
    const int at = i + request.continued_ids();
    const char letter = FakeWorker::LetterAt(request.sampling().seed(), at);
    pb::GenerateResponse piece;
    piece.add_ids(static_cast<uint32_t>(letter));
    // The text of what another worker began comes with the first.
    for (int before = i == 0 ? 0 : at; before <= at; ++before) {
      *piece.mutable_text() += FakeWorker::LetterAt(request.sampling().seed(), before);
    }
    if (request.has_log_probabilities()) {
      pb::IdLogProbabilities& told = *piece.add_log_probabilities();
      told.mutable_chosen()->set_id(static_cast<uint32_t>(letter));
      told.mutable_chosen()->set_token(std::string(&letter, 1));
      told.mutable_chosen()->set_log_probability(static_cast<float>(-at - 0.5));
      told.set_text_bytes(1);
      for (int j = 0; j < request.log_probabilities().top(); ++j) {
        told.add_top()->set_token(absl::StrCat("t", j));
      }
    }
    if (i + 1 == request.max_tokens()) {
      piece.mutable_finish()->set_reason(pb::Finish::LENGTH);
      piece.mutable_finish()->set_prompt_tokens(request.prompt_ids_size());
      piece.mutable_finish()->set_completion_tokens(request.max_tokens());
    }
    if (!writer.Write(piece)) return grpc::Status::CANCELLED;
  }
  return grpc::Status::OK;
}

// Two tokens, then the worker is gone.
grpc::Status TwoThenGone(grpc::ServerContext&, const pb::GenerateRequest& request,
                         FakeWorker::Writer& writer) {
  pb::GenerateResponse piece;
  const std::string text = {FakeWorker::LetterAt(request.sampling().seed(), 0),
                            FakeWorker::LetterAt(request.sampling().seed(), 1)};
  for (int i = 0; i < 2; ++i) {
    piece.add_ids(static_cast<uint32_t>(text[i]));
    pb::IdLogProbabilities& told = *piece.add_log_probabilities();
    told.mutable_chosen()->set_token(text.substr(i, 1));
    told.mutable_chosen()->set_log_probability(static_cast<float>(-i - 0.5));
    told.set_text_bytes(1);
  }
  piece.set_text(text);
  writer.Write(piece);
  return {grpc::StatusCode::UNAVAILABLE, "gone"};
}

class SurfaceTest : public testing::Test {
 protected:
  json Post(const char* path, const json& body) {
    answer_ = client_.Post(path, body.dump());
    EXPECT_EQ(answer_.status, 200) << answer_.body;
    return json::parse(answer_.body);
  }
  json Refused(const char* path, const json& body, int status = 400) {
    answer_ = client_.Post(path, body.dump());
    EXPECT_EQ(answer_.status, status) << answer_.body;
    return json::parse(answer_.body)["error"];
  }
  pb::GenerateRequest AtTheWorker() { return fleet_.worker().requests().back(); }

  FakeFleet fleet_;
  HttpClient client_{fleet_.port()};
  HttpAnswer answer_;
};

TEST_F(SurfaceTest, PenaltiesAndBiasesReachTheWorker) {
  Post(kChat, Chat({{"presence_penalty", 0.5},
                    {"frequency_penalty", -1.5},
                    {"repetition_penalty", 1.25},
                    {"logit_bias", {{"97", -100}, {"98", 2}}}}));
  const pb::Sampling sampling = AtTheWorker().sampling();
  EXPECT_FLOAT_EQ(sampling.presence_penalty(), 0.5);
  EXPECT_FLOAT_EQ(sampling.frequency_penalty(), -1.5);
  EXPECT_FLOAT_EQ(sampling.repetition_penalty(), 1.25);
  ASSERT_EQ(sampling.logit_bias_size(), 2);
  EXPECT_EQ(sampling.logit_bias(0).id(), 97u);
  EXPECT_FLOAT_EQ(sampling.logit_bias(0).bias(), -100);
  EXPECT_FALSE(AtTheWorker().has_log_probabilities());
}

TEST_F(SurfaceTest, AChatTellsHowLikelyItsTokensWere) {
  fleet_.worker().Behave(LikelyLetters);
  const json answer = Post(kChat, Chat({{"logprobs", true}, {"top_logprobs", 2}}));
  EXPECT_EQ(AtTheWorker().log_probabilities().top(), 2);
  EXPECT_FALSE(AtTheWorker().log_probabilities().sampled());
  const json content = answer["choices"][0]["logprobs"]["content"];
  ASSERT_THAT(content, SizeIs(4));
  std::string text;
  for (const json& token : content) text += token["token"];
  EXPECT_EQ(text, answer["choices"][0]["message"]["content"]);
  EXPECT_EQ(content[1]["logprob"], -1.5);
  EXPECT_EQ(content[1]["bytes"], json({text[1]}));
  EXPECT_THAT(content[1]["top_logprobs"], SizeIs(2));
  // Without being asked, nothing.
  EXPECT_TRUE(Post(kChat, Chat())["choices"][0]["logprobs"].is_null());
  Post(kChat, Chat({{"logprobs", true}, {"floe", {{"logprobs", "sampled"}}}}));
  EXPECT_TRUE(AtTheWorker().log_probabilities().sampled());
}

TEST_F(SurfaceTest, AStreamTellsTheSameChunkByChunk) {
  fleet_.worker().Behave(LikelyLetters);
  const json whole = Post(kChat, Chat({{"logprobs", true}, {"top_logprobs", 1}}));
  json content = json::array();
  const auto events = EventsOf(
      client_.Post(kChat, Chat({{"logprobs", true}, {"top_logprobs", 1}, {"stream", true}}).dump())
          .body);
  for (const std::string& event : events) {
    if (event == "[DONE]") continue;
    const json logprobs = json::parse(event)["choices"][0]["logprobs"];
    if (logprobs.is_null()) continue;
    for (const json& token : logprobs["content"]) content.push_back(token);
  }
  EXPECT_EQ(content, whole["choices"][0]["logprobs"]["content"]);
}

TEST_F(SurfaceTest, ACompletionTellsThemInColumns) {
  fleet_.worker().Behave(LikelyLetters);
  const json answer = Post(kCompletions, Completion({{"logprobs", 1}}));
  const json logprobs = answer["choices"][0]["logprobs"];
  EXPECT_THAT(logprobs["tokens"], SizeIs(4));
  EXPECT_EQ(logprobs["token_logprobs"], json({-0.5, -1.5, -2.5, -3.5}));
  EXPECT_EQ(logprobs["text_offset"], json({0, 1, 2, 3}));
  EXPECT_TRUE(logprobs["top_logprobs"][0].contains("t0"));
  json offsets = json::array();
  const auto events = EventsOf(
      client_.Post(kCompletions, Completion({{"logprobs", 1}, {"stream", true}}).dump()).body);
  for (const std::string& event : events) {
    if (event == "[DONE]") continue;
    const json told = json::parse(event)["choices"][0]["logprobs"];
    if (told.is_null()) continue;
    for (const json& offset : told["text_offset"]) offsets.push_back(offset);
  }
  EXPECT_EQ(offsets, logprobs["text_offset"]);
}

TEST(SurfaceOfTwoTest, AStreamThatMovesTellsEachTokenOnce) {
  FakeFleet fleet({.workers = 2});
  HttpClient client(fleet.port());
  const std::string body = Completion({{"logprobs", 0}}).dump();
  for (size_t i = 0; i < 2; ++i) fleet.worker(i).Behave(LikelyLetters);
  const json whole = json::parse(client.Post(kCompletions, body).body);
  const size_t first = fleet.worker(0).requests().empty() ? 1 : 0;
  fleet.worker(first).Behave(TwoThenGone);
  const json moved = json::parse(client.Post(kCompletions, body).body);
  EXPECT_EQ(fleet.worker(1 - first).requests().back().continued_ids(), 1);
  EXPECT_EQ(moved["choices"], whole["choices"]);
}

TEST_F(SurfaceTest, AnEchoStandsInFrontWholeAndStreamed) {
  const json plain = Post(kCompletions, Completion());
  const std::string text = plain["choices"][0]["text"];
  const json echoed = Post(kCompletions, Completion({{"echo", true}}));
  EXPECT_EQ(echoed["choices"][0]["text"], "abc" + text);
  EXPECT_EQ(echoed["usage"], plain["usage"]);
  EXPECT_EQ(Post(kCompletions, Completion({{"echo", true}, {"prompt", {97, 98, 99}}}))["choices"],
            echoed["choices"]);
  std::string streamed;
  for (const std::string& event :
       EventsOf(client_.Post(kCompletions, Completion({{"echo", true}, {"stream", true}}).dump())
                    .body)) {
    if (event != "[DONE]") streamed += json::parse(event)["choices"][0]["text"];
  }
  EXPECT_EQ(streamed, "abc" + text);
}

TEST_F(SurfaceTest, SeveralAnswersHaveTheirIndexAndTheFirstIsTheLoneOne) {
  const json lone = Post(kChat, Chat());
  const json several = Post(kChat, Chat({{"n", 3}}));
  ASSERT_THAT(several["choices"], SizeIs(3));
  std::set<std::string> texts;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(several["choices"][i]["index"], i);
    EXPECT_EQ(several["choices"][i]["finish_reason"], "length");
    texts.insert(several["choices"][i]["message"]["content"].get<std::string>());
  }
  EXPECT_EQ(texts.size(), 3u);
  EXPECT_EQ(several["choices"][0], lone["choices"][0]);
  EXPECT_EQ(several["usage"]["prompt_tokens"], lone["usage"]["prompt_tokens"]);
  EXPECT_EQ(several["usage"]["completion_tokens"], 12);
  EXPECT_EQ(Post(kChat, Chat({{"n", 3}}))["choices"], several["choices"]);
}

TEST_F(SurfaceTest, SeveralAnswersStreamSideBySide) {
  const json whole = Post(kChat, Chat({{"n", 3}}));
  const auto events = EventsOf(
      client_
          .Post(kChat,
                Chat({{"n", 3}, {"stream", true}, {"stream_options", {{"include_usage", true}}}})
                    .dump())
          .body);
  std::vector<std::string> texts(3), reasons(3), roles(3);
  json usage;
  int closings = 0;
  for (const std::string& event : events) {
    if (event == "[DONE]") continue;
    const json chunk = json::parse(event);
    if (chunk["choices"].empty()) usage = chunk["usage"];
    closings += chunk.contains("floe");
    for (const json& choice : chunk["choices"]) {
      const size_t i = choice["index"];
      texts[i] += choice["delta"].value("content", "");
      roles[i] += choice["delta"].value("role", "");
      if (!choice["finish_reason"].is_null()) reasons[i] += choice["finish_reason"];
    }
  }
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(texts[i], whole["choices"][i]["message"]["content"]);
    EXPECT_EQ(roles[i], "assistant");
    EXPECT_EQ(reasons[i], "length");
  }
  EXPECT_EQ(usage, whole["usage"]);
  EXPECT_EQ(closings, 1);
}

TEST_F(SurfaceTest, EachOfSeveralPromptsIsAnsweredAsIfItWereAlone) {
  const json answers = Post(kCompletions, Completion({{"prompt", {"abc", "d"}}, {"n", 2}}));
  ASSERT_THAT(answers["choices"], SizeIs(4));
  const auto worked = fleet_.worker().requests();
  ASSERT_EQ(worked.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(answers["choices"][i]["index"], i);
    EXPECT_EQ(worked[i].prompt_ids_size(), i < 2 ? 3 : 1);
    EXPECT_EQ(worked[i].usage_id(), answers["floe"]["usage_id"]);
  }
  EXPECT_EQ(answers["usage"]["prompt_tokens"], 4);
  EXPECT_EQ(answers["usage"]["completion_tokens"], 16);
  for (const size_t prompt : {0, 1}) {
    const json alone = Post(kCompletions, Completion({{"prompt", prompt == 0 ? "abc" : "d"}}));
    EXPECT_EQ(answers["choices"][2 * prompt]["text"], alone["choices"][0]["text"]);
  }
  const json ids = json::array({json::array({97, 98, 99}), json::array({100})});
  EXPECT_EQ(Post(kCompletions, Completion({{"prompt", ids}, {"n", 2}}))["choices"],
            answers["choices"]);
}

TEST_F(SurfaceTest, SeveralPromptsStreamSideBySide) {
  json streamed = Completion({{"prompt", {"abc", "d", "ef"}}, {"stream", true}});
  std::vector<std::string> texts(3), reasons(3);
  json usage;
  streamed["stream_options"] = {{"include_usage", true}};
  for (const std::string& event : EventsOf(client_.Post(kCompletions, streamed.dump()).body)) {
    if (event == "[DONE]") continue;
    const json chunk = json::parse(event);
    if (chunk["choices"].empty()) usage = chunk["usage"];
    for (const json& choice : chunk["choices"]) {
      texts[choice["index"]] += choice["text"];
      if (!choice["finish_reason"].is_null()) reasons[choice["index"]] = choice["finish_reason"];
    }
  }
  const json whole = Post(kCompletions, Completion({{"prompt", {"abc", "d", "ef"}}}));
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(texts[i], whole["choices"][i]["text"]);
    EXPECT_EQ(reasons[i], "length");
  }
  EXPECT_EQ(usage, whole["usage"]);
}

TEST_F(SurfaceTest, OfSeveralPromptsTheOneThatIsTooLongIsNamed) {
  const json error =
      Refused(kCompletions, Completion({{"prompt", {"abc", std::string(510, 'x')}}}));
  EXPECT_EQ(error["code"], "context_length_exceeded");
  EXPECT_EQ(error["param"], "prompt[1]");
  EXPECT_EQ(
      Refused(
          kCompletions,
          Completion({{"prompt", json::array({json::array({1}), json::array({259})})}}))["param"],
      "prompt[1]");
  EXPECT_TRUE(fleet_.worker().requests().empty());
}

TEST_F(SurfaceTest, TheBestOfSeveralIsGivenAndAllAreCounted) {
  // An answer is as likely as its first letter is late in the alphabet.
  fleet_.worker().Behave(
      [](grpc::ServerContext&, const pb::GenerateRequest& request, FakeWorker::Writer& writer) {
        pb::GenerateResponse piece;
        const char letter = FakeWorker::LetterAt(request.sampling().seed(), 0);
        piece.add_ids(static_cast<uint32_t>(letter));
        piece.set_text(std::string(1, letter));
        if (request.has_log_probabilities()) {
          piece.add_log_probabilities()->mutable_chosen()->set_log_probability(
              static_cast<float>(letter - 'z'));
        }
        piece.mutable_finish()->set_prompt_tokens(request.prompt_ids_size());
        piece.mutable_finish()->set_completion_tokens(1);
        return writer.Write(piece) ? grpc::Status::OK : grpc::Status::CANCELLED;
      });
  const json all = Post(kCompletions, Completion({{"n", 5}}));
  std::vector<std::string> letters;
  for (const json& choice : all["choices"]) letters.push_back(choice["text"]);
  std::sort(letters.rbegin(), letters.rend());
  const json best = Post(kCompletions, Completion({{"n", 2}, {"best_of", 5}}));
  ASSERT_THAT(best["choices"], SizeIs(2));
  EXPECT_EQ(best["choices"][0]["text"], letters[0]);
  EXPECT_EQ(best["choices"][1]["text"], letters[1]);
  EXPECT_TRUE(best["choices"][0]["logprobs"].is_null());
  EXPECT_EQ(best["usage"]["completion_tokens"], 5);
  EXPECT_EQ(Refused(kCompletions, Completion({{"best_of", 2}, {"stream", true}}))["param"],
            "best_of");
  EXPECT_EQ(Refused(kChat, Chat({{"n", 17}}))["param"], "n");
}

TEST_F(SurfaceTest, AClientThatLeavesEndsAllOfItsAnswers) {
  fleet_.worker().Behave(FakeWorker::HangAfter("a"));
  {
    HttpClient leaving(fleet_.port());
    leaving.Write(PostText(kChat, Chat({{"n", 3}, {"stream", true}}).dump()));
    ASSERT_TRUE(fleet_.worker().WaitForCalls(3));
  }
  EXPECT_TRUE(fleet_.worker().WaitForCancelled(3));
}

TEST_F(SurfaceTest, UnknownFieldsAreIgnoredAndToldInAHeader) {
  Post(kChat, Chat());
  EXPECT_FALSE(answer_.headers.contains("x-floe-ignored-fields"));
  Post(kChat, Chat({{"temprature", 1}, {"a\r\nSet-Cookie: b", 2}}));
  EXPECT_THAT(answer_.headers.at("x-floe-ignored-fields"), HasSubstr("temprature"));
  EXPECT_FALSE(answer_.headers.contains("set-cookie"));
  const HttpAnswer streamed =
      client_.Post(kChat, Chat({{"stream", true}, {"floe", {{"x", 1}}}}).dump());
  EXPECT_EQ(streamed.headers.at("x-floe-ignored-fields"), "floe.x");
  // Also of a request that is refused later: a misspelt field may be why.
  Refused(kChat, Chat({{"model", "othello"}, {"temprature", 1}}), 404);
  EXPECT_EQ(answer_.headers.at("x-floe-ignored-fields"), "temprature");
}

}  // namespace
}  // namespace floe::gateway
