// `echo` with `logprobs`: an answer that begins with its prompt and says how likely both were.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/services/gateway/http/fake_fleet.h"
#include "tests/services/gateway/http/http_client.h"

namespace floe::gateway {
namespace {

using nlohmann::json;
using testing::SizeIs;
namespace pb = inference::v1;

constexpr char kCompletions[] = "/v1/completions";

json Completion(const json& more = json::object()) {
  json body = {{"model", "hamlet"}, {"prompt", "abc"}, {"max_tokens", 2},
               {"seed", 7},         {"echo", true},    {"logprobs", 1}};
  body.update(more);
  return body;
}

void Tell(uint32_t id, float log_probability, pb::IdLogProbabilities& told) {
  told.mutable_chosen()->set_id(id);
  told.mutable_chosen()->set_token(std::string(1, static_cast<char>(id)));
  told.mutable_chosen()->set_log_probability(log_probability);
  told.set_text_bytes(1);
  *told.add_top() = told.chosen();
}

// Those of the prompt in two messages, as of a prompt that was computed in two parts: -1, -2 and so
// on. False when nobody reads on.
bool TellPrompt(const pb::GenerateRequest& request, FakeWorker::Writer& writer, int parts = 2) {
  if (!request.log_probabilities().prompt()) return true;
  const int middle = request.prompt_ids_size() / 2;
  for (int part = 0; part < parts; ++part) {
    pb::GenerateResponse piece;
    for (int i = part == 0 ? 0 : middle; i < (part == 0 ? middle : request.prompt_ids_size());
         ++i) {
      pb::IdLogProbabilities& told = *piece.add_prompt_log_probabilities();
      Tell(request.prompt_ids(i), static_cast<float>(-i), told);
      if (i > 0) continue;
      told.set_first(true);
      told.clear_top();
    }
    if (!writer.Write(piece)) return false;
  }
  return true;
}

// Then letters: -10, -11 and so on.
grpc::Status Letters(grpc::ServerContext&, const pb::GenerateRequest& request,
                     FakeWorker::Writer& writer) {
  if (!TellPrompt(request, writer)) return grpc::Status::CANCELLED;
  pb::GenerateResponse piece;
  for (int at = request.continued_ids(), i = 0; i < request.max_tokens(); ++i, ++at) {
    const char letter = FakeWorker::LetterAt(request.sampling().seed(), at);
    piece.Clear();
    piece.add_ids(static_cast<uint32_t>(letter));
    for (int before = i == 0 ? 0 : at; before <= at; ++before) {
      *piece.mutable_text() += FakeWorker::LetterAt(request.sampling().seed(), before);
    }
    Tell(static_cast<uint32_t>(letter), static_cast<float>(-10 - at),
         *piece.add_log_probabilities());
    if (!writer.Write(piece)) return grpc::Status::CANCELLED;
  }
  piece.Clear();
  piece.mutable_finish()->set_reason(pb::Finish::LENGTH);
  piece.mutable_finish()->set_prompt_tokens(request.prompt_ids_size());
  piece.mutable_finish()->set_completion_tokens(request.max_tokens());
  return writer.Write(piece) ? grpc::Status::OK : grpc::Status::CANCELLED;
}

class EchoLogProbsTest : public testing::Test {
 protected:
  EchoLogProbsTest() {
    for (size_t i = 0; i < 2; ++i) fleet_.worker(i).Behave(Letters);
  }
  json Post(const json& body) {
    const HttpAnswer answer = client_.Post(kCompletions, body.dump());
    EXPECT_EQ(answer.status, 200) << answer.body;
    return json::parse(answer.body);
  }
  // The worker that this prompt goes to.
  size_t First() {
    Post(Completion());
    return fleet_.worker(0).requests().empty() ? 1 : 0;
  }

  FakeFleet fleet_{{.workers = 2}};
  HttpClient client_{fleet_.port()};
};

TEST_F(EchoLogProbsTest, ColumnsBeginWithThePrompt) {
  const json choice = Post(Completion())["choices"][0];
  const std::string text = choice["text"];
  EXPECT_EQ(text.substr(0, 3), "abc");
  const json told = choice["logprobs"];
  EXPECT_EQ(told["tokens"], json({"a", "b", "c", text.substr(3, 1), text.substr(4, 1)}));
  EXPECT_EQ(told["token_logprobs"], json({nullptr, -1.0, -2.0, -10.0, -11.0}));
  EXPECT_EQ(told["text_offset"], json({0, 1, 2, 3, 4}));
  EXPECT_TRUE(told["top_logprobs"][0].is_null());
  EXPECT_EQ(told["top_logprobs"][1], json({{"b", -1.0}}));
}

TEST_F(EchoLogProbsTest, AStreamTellsTheSame) {
  const json whole = Post(Completion())["choices"][0];
  std::string text;
  json columns;
  for (const std::string& event :
       EventsOf(client_.Post(kCompletions, Completion({{"stream", true}}).dump()).body)) {
    if (event == "[DONE]") continue;
    const json choice = json::parse(event)["choices"][0];
    text += choice["text"];
    if (choice["logprobs"].is_null()) continue;
    for (const auto& [name, values] : choice["logprobs"].items()) {
      for (const json& value : values) columns[name].push_back(value);
    }
  }
  EXPECT_EQ(text, whole["text"]);
  EXPECT_EQ(columns, whole["logprobs"]);
}

TEST_F(EchoLogProbsTest, WithoutAnAnswerSeveralPromptsAreScored) {
  const json answer = Post(Completion({{"prompt", {"abc", "de"}}, {"max_tokens", 0}}));
  ASSERT_THAT(answer["choices"], SizeIs(2));
  EXPECT_EQ(answer["choices"][0]["text"], "abc");
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(answer["choices"][1]["logprobs"]["tokens"], json({"d", "e"}));
  EXPECT_EQ(answer["choices"][1]["logprobs"]["token_logprobs"], json({nullptr, -1.0}));
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 5);
  EXPECT_EQ(answer["usage"]["completion_tokens"], 0);
}

TEST_F(EchoLogProbsTest, AllAnswersToAPromptBeginWithIt) {
  const json choices = Post(Completion({{"n", 2}}))["choices"];
  ASSERT_THAT(choices, SizeIs(2));
  for (const json& choice : choices) {
    EXPECT_EQ(choice["logprobs"]["token_logprobs"], json({nullptr, -1.0, -2.0, -10.0, -11.0}));
  }
}

TEST_F(EchoLogProbsTest, AWorkerThatIsGoneInThePromptLosesAndDoublesNothing) {
  const json whole = Post(Completion());
  const size_t first = First();
  fleet_.worker(first).Behave([](grpc::ServerContext&, const pb::GenerateRequest& request,
                                 FakeWorker::Writer& writer) -> grpc::Status {
    TellPrompt(request, writer, /*parts=*/1);
    return {grpc::StatusCode::UNAVAILABLE, "gone"};
  });
  EXPECT_EQ(Post(Completion())["choices"], whole["choices"]);
  EXPECT_TRUE(fleet_.worker(1 - first).requests().back().log_probabilities().prompt());
}

TEST_F(EchoLogProbsTest, AWorkerThatIsGoneInTheAnswerIsNotFollowedByThePromptAgain) {
  const json whole = Post(Completion());
  const size_t first = First();
  fleet_.worker(first).Behave([](grpc::ServerContext&, const pb::GenerateRequest& request,
                                 FakeWorker::Writer& writer) -> grpc::Status {
    TellPrompt(request, writer);
    pb::GenerateResponse piece;
    const char letter = FakeWorker::LetterAt(request.sampling().seed(), 0);
    piece.add_ids(static_cast<uint32_t>(letter));
    piece.set_text(std::string(1, letter));
    Tell(static_cast<uint32_t>(letter), -10, *piece.add_log_probabilities());
    writer.Write(piece);
    return {grpc::StatusCode::UNAVAILABLE, "gone"};
  });
  EXPECT_EQ(Post(Completion())["choices"], whole["choices"]);
  EXPECT_FALSE(fleet_.worker(1 - first).requests().back().log_probabilities().prompt());
}

}  // namespace
}  // namespace floe::gateway
