// Answers of a random model under constraints, at temperature 1: judged by RE2, nlohmann/json and
// the gateway's own check of schemas.
#include <algorithm>
#include <functional>
#include <thread>

#include "nlohmann/json.hpp"
#include <re2/re2.h>

#include "gateway/schema/schema.h"
#include "inference/grammar/automaton.h"
#include "inference/grammar/grammar_cache.h"
#include "tests/services/inference/worker_fixture.h"
#include "tests/tokenizer/sample_tokenizer.h"

namespace floe::inference {
namespace {

using grammar::Form;
using testing::HasSubstr;

constexpr char kPerson[] = R"({"type": "object", "properties": {
    "name": {"type": "string", "maxLength": 8}, "born": {"type": "string", "format": "date"},
    "sizes": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 99}, "maxItems": 3},
    "kind": {"enum": ["cat", "dog"]}}, "required": ["name", "kind"], "additionalProperties": false})";
constexpr char kSum[] = "root ::= term (\"+\" term){1,3}\nterm ::= [0-9]{1,2} | \"(\" root \")\"\n";

class ConstraintTest : public WorkerTest {
 protected:
  v1::GenerateRequest AskSeeded(const std::string& digest, int seed, int max_tokens = 150) {
    v1::GenerateRequest request = Ask(digest, "abc", max_tokens);
    request.mutable_sampling()->set_temperature(1);
    request.mutable_sampling()->set_seed(static_cast<uint64_t>(seed));
    return request;
  }

  // Answers of many seeds. A whole one is told to `judge`; one that was cut off must be the
  // beginning of a text of the form.
  void ExpectForm(const std::string& digest, const v1::Constraint& constraint, const Form& form,
                  const std::function<bool(const std::string&)>& judge) {
    const auto grammar = grammar::CompileForm(form);
    ASSERT_TRUE(grammar.ok()) << grammar.status();
    int whole = 0;
    for (int seed = 0; seed < 40; ++seed) {
      v1::GenerateRequest request = AskSeeded(digest, seed);
      *request.mutable_constraint() = constraint;
      const Answer answer = Generate(request);
      ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
      if (answer.finish.reason() == v1::Finish::STOP) {
        ++whole;
        EXPECT_TRUE(judge(answer.text)) << answer.text;
        continue;
      }
      grammar::Automaton automaton(*grammar);
      grammar::Automaton::State state = automaton.Start();
      const size_t cut = answer.text.find("\uFFFD");  // a character that was not complete
      for (const char c : answer.text.substr(0, cut)) {
        state = automaton.Next(state, static_cast<uint8_t>(c));
      }
      EXPECT_GT(state, grammar::Automaton::kDead) << answer.text;
    }
    EXPECT_GT(whole, 0);
  }
};

TEST_F(ConstraintTest, EveryAnswerIsOfItsForm) {
  // The second vocabulary has tokens of many bytes.
  const auto words = tokenizer::Tokenizer::Create(
      tokenizer::TrainSample(tokenizer::Pattern::kQwen2, /*vocab_size=*/300));
  ASSERT_TRUE(words.ok());
  for (const std::string& tokenizer_json : {std::string(), (*words)->ToJson()}) {
    const std::string digest = Publish(2.0f, 512, tokenizer_json);
    Start();
    v1::Constraint constraint;
    constraint.set_regex("[a-z]+(, [a-z]+)*\\.");
    ExpectForm(digest, constraint, {Form::Kind::kRegex, constraint.regex()},
               [&](const std::string& text) { return RE2::FullMatch(text, constraint.regex()); });
    constraint.set_ebnf(kSum);
    ExpectForm(digest, constraint, {Form::Kind::kEbnf, kSum}, [](const std::string& text) {
      return RE2::FullMatch(text, "[0-9+()]*[0-9)]") &&
             std::count(text.begin(), text.end(), '(') == std::count(text.begin(), text.end(), ')');
    });
    constraint.set_json_schema(kPerson);
    const auto schema = gateway::Schema::Compile(kPerson);
    ASSERT_TRUE(schema.ok()) << schema.status();
    ExpectForm(digest, constraint, {Form::Kind::kJsonSchema, kPerson},
               [&](const std::string& text) { return (*schema)->Check(text).ok(); });
    constraint.set_json_object(true);
    ExpectForm(digest, constraint, {Form::Kind::kJsonObject, ""}, [](const std::string& text) {
      return nlohmann::json::parse(text, nullptr, false).is_object();
    });
  }
}

TEST_F(ConstraintTest, ACompleteAnswerEndsWithStop) {
  const std::string digest = Publish();
  Start();
  v1::GenerateRequest request = AskSeeded(digest, 1);
  request.mutable_constraint()->set_regex("yes|no");
  const Answer answer = Generate(request);
  EXPECT_THAT(answer.text, testing::AnyOf("yes", "no"));
  EXPECT_EQ(answer.finish.reason(), v1::Finish::STOP);
  EXPECT_EQ(answer.finish.completion_tokens(), static_cast<int64_t>(answer.text.size()));
}

TEST_F(ConstraintTest, AnAnswerThatMovedHereGoesOnWithTheSameTokens) {
  const std::string digest = Publish(2.0f);
  Start();
  v1::GenerateRequest request = AskSeeded(digest, 5);
  request.mutable_constraint()->set_json_schema(kPerson);
  const Answer whole = Generate(request);
  ASSERT_TRUE(whole.status.ok()) << whole.status.error_message();
  for (const size_t moved : {size_t{1}, whole.ids.size() / 2, whole.ids.size() - 2}) {
    v1::GenerateRequest rest = request;
    rest.mutable_prompt_ids()->Add(whole.ids.begin(),
                                   whole.ids.begin() + static_cast<int64_t>(moved));
    rest.set_continued_ids(static_cast<int32_t>(moved));
    rest.set_max_tokens(request.max_tokens() - static_cast<int32_t>(moved));
    const Answer answer = Generate(rest);
    EXPECT_EQ(answer.text, whole.text);
    EXPECT_EQ(answer.ids, std::vector<uint32_t>(whole.ids.begin() + static_cast<int64_t>(moved),
                                                whole.ids.end()));
  }
  // What could not have been made here is refused.
  request.mutable_prompt_ids()->Add('x');
  request.set_continued_ids(1);
  EXPECT_EQ(Generate(request).status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

// Requests of one form share its masks and states, and are pre-empted for want of blocks.
TEST_F(ConstraintTest, ManyAtOnceInAFewBlocksAnswerAsEachAlone) {
  const std::string digest = Publish(2.0f);
  ModelPoolOptions options;
  options.serve.engine.kv_bytes = 160 << 10;  // two of these answers
  Start(options);
  const auto request = [&](int seed) {
    v1::GenerateRequest r = AskSeeded(digest, seed);
    r.mutable_constraint()->set_json_schema(kPerson);
    return r;
  };
  std::vector<Answer> alone(8), together(8);
  for (int i = 0; i < 8; ++i) alone[i] = Generate(request(i));
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] { together[i] = Generate(request(i)); });
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(together[i].status.ok()) << together[i].status.error_message();
    EXPECT_EQ(together[i].ids, alone[i].ids);
    EXPECT_EQ(together[i].finish.reason(), alone[i].finish.reason());
  }
}

TEST_F(ConstraintTest, WhatCannotBeHeldToIsRefusedWithItsReason) {
  const std::string digest = Publish();
  Start();
  const auto refused = [&](const std::function<void(v1::GenerateRequest&)>& set) {
    v1::GenerateRequest request = AskSeeded(digest, 1);
    set(request);
    const Answer answer = Generate(request);
    EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(answer.status.error_details(), HasSubstr("INVALID_CONSTRAINT"));
    return answer.status.error_message();
  };
  EXPECT_THAT(refused([](auto& r) { r.mutable_constraint()->set_regex("(a)\\1"); }),
              HasSubstr("\\1 is not supported"));
  EXPECT_THAT(refused([](auto& r) { r.mutable_constraint()->set_ebnf("root ::= root"); }),
              HasSubstr("no text of finite length"));
  EXPECT_THAT(
      refused([](auto& r) { r.mutable_constraint()->set_json_schema(R"({"multipleOf": 2})"); }),
      HasSubstr("multipleOf"));
  EXPECT_THAT(
      refused([](auto& r) { r.mutable_constraint()->set_regex("(((a?){500}){500}){500}"); }),
      HasSubstr("too many ways"));
  EXPECT_THAT(refused([](auto& r) { r.mutable_constraint(); }), HasSubstr("no form"));
  EXPECT_THAT(refused([](auto& r) {
                r.mutable_constraint()->set_json_object(true);
                r.set_ignore_eos(true);
              }),
              HasSubstr("leave ignore_eos out"));
  v1::GenerateRequest request = AskSeeded(digest, 1, 5);
  EXPECT_TRUE(Generate(request).status.ok()) << "the worker goes on";
  ExpectAtRest(digest);
}

}  // namespace
}  // namespace floe::inference
