// Limits, policy, rules, cache and schema as the stages apply them, over ports that the test
// answers for. One file, since a section a stage shares one fixture and one order: the stages'.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include <boost/asio/thread_pool.hpp>
#include <nlohmann/json.hpp>

#include "base/error_reason.h"
#include "gateway/audit/record.h"
#include "gateway/stages.h"
#include "gateway/stages/guard_input.h"
#include "tests/gateway/asio_run.h"
#include "tests/gateway/fake_ports.h"
#include "tests/support/fake_clock.h"

namespace floe::gateway {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class GovernanceTest : public testing::Test {
 protected:
  GovernanceTest() { fakes_.pieces = {Text("It is "), Text("a "), Last("answer")}; }

  // A new request, as a client would repeat it.
  absl::Status Run() {
    sink_ = std::make_unique<FakeSink>(fakes_);
    request_ = Request();
    request_.id = "request";
    request_.what = "POST /v1/completions";
    request_.authorization = "Bearer floe-secret";
    request_.ask = ask_;
    request_.sink = sink_.get();
    const Pipeline pipeline = GeneratingPipeline(fakes_.Ports(clock_));
    absl::Status status = RunToEnd(pipeline.Run(request_));
    EXPECT_EQ(fakes_.streams, 0) << "a stream was left behind";
    return status;
  }
  ErrorReason ReasonOfRun() {
    const absl::Status status = Run();
    message_ = std::string(status.message());
    const auto reason = ReasonOf(status);
    return reason.value_or(ErrorReason{.reason = status.ToString()});
  }
  std::string TextOut() const {
    std::string text;
    for (const std::string& piece : sink_->texts) text += piece;
    return text;
  }
  json Audit() const { return json::parse(AuditLine(request_, {.status = 200})); }

  test::FakeClock clock_;
  FakePorts fakes_;
  std::unique_ptr<FakeSink> sink_;
  Ask ask_{.model = "hamlet", .prompts = {"my card is 4111 1111 1111 1111"}, .max_tokens = 20};
  Request request_;
  std::string message_;
};

// --- limits

TEST_F(GovernanceTest, WithoutLimitsNothingIsCounted) {
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(fakes_.admits, 0);
  EXPECT_THAT(fakes_.settlements, IsEmpty());
}

TEST_F(GovernanceTest, APlaceIsGivenBackWhateverHappens) {
  fakes_.SetPolicy("defaults: {limits: {concurrent: 2}}");
  fakes_.admission = limits::Admission{.place = "g:1"};
  ASSERT_TRUE(Run().ok());
  fakes_.model = absl::NotFoundError("none");
  ASSERT_FALSE(Run().ok());
  ASSERT_EQ(fakes_.settlements.size(), 2u);
  for (const auto& settlement : fakes_.settlements) EXPECT_EQ(settlement.place, "g:1");
  EXPECT_EQ(fakes_.settlements[0].key_id, "k");
}

TEST_F(GovernanceTest, TooManyRequestsAreToldWhenToComeBack) {
  fakes_.SetPolicy("defaults: {limits: {requests_per_minute: 60}}");
  fakes_.admission = limits::Admission{.refusal = limits::Refusal::kRequests,
                                       .requests = {60, 0, absl::Minutes(1)},
                                       .retry_after = absl::Milliseconds(1200)};
  const ErrorReason reason = ReasonOfRun();
  EXPECT_EQ(reason.reason, "RATE_LIMIT_EXCEEDED");
  EXPECT_EQ(reason.metadata.at("retry_after_seconds"), "2");
  EXPECT_THAT(message_, HasSubstr("60 requests a minute"));
  EXPECT_EQ(request_.limits.requests.limit, 60);
  EXPECT_EQ(fakes_.starts, 0);
}

TEST_F(GovernanceTest, TokensAreChargedAtTheirMostAndCorrectedAtTheEnd) {
  fakes_.SetPolicy("defaults: {limits: {tokens_per_minute: 1000}}");
  Piece last = Last("x");
  last.finish->prompt_tokens = 3;
  last.finish->completion_tokens = 5;
  fakes_.pieces = {last};
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(fakes_.charged_tokens, 3 + 20);
  ASSERT_EQ(fakes_.settlements.size(), 1u);
  EXPECT_EQ(fakes_.settlements[0].token_limit, 1000);
  EXPECT_EQ(fakes_.settlements[0].unused_tokens, 23 - 8);
}

TEST_F(GovernanceTest, AnAnswerCutOffCountsWhatHadArrived) {
  fakes_.SetPolicy("defaults: {limits: {tokens_per_minute: 1000}}");
  fakes_.pieces = {Text("a"), absl::UnavailableError("gone")};
  EXPECT_FALSE(Run().ok());
  EXPECT_EQ(fakes_.settlements.at(0).unused_tokens, 23 - 3 - 1);
  fakes_.start = absl::UnavailableError("no worker");
  EXPECT_FALSE(Run().ok());
  EXPECT_EQ(fakes_.settlements.at(1).unused_tokens, 23);
}

TEST_F(GovernanceTest, TokensThatDoNotFitNowOrEverAreRefused) {
  fakes_.SetPolicy("defaults: {limits: {tokens_per_minute: 23}}");
  fakes_.charge = limits::Charge{.refused = true, .retry_after = absl::Seconds(7)};
  EXPECT_EQ(ReasonOfRun().metadata.at("retry_after_seconds"), "7");
  EXPECT_THAT(fakes_.settlements, IsEmpty());
  fakes_.SetPolicy("defaults: {limits: {tokens_per_minute: 22}}");
  fakes_.charged_tokens = 0;
  EXPECT_EQ(ReasonOfRun().reason, "REQUEST_TOO_LARGE");
  EXPECT_EQ(fakes_.charged_tokens, 0);
}

TEST_F(GovernanceTest, WithoutRedisThePolicyDecides) {
  fakes_.admission = absl::UnavailableError("away");
  fakes_.charge = absl::UnavailableError("away");
  const std::string limits = "limits: {requests_per_minute: 5, tokens_per_minute: 500}";
  fakes_.SetPolicy("defaults: {" + limits + "}");
  EXPECT_TRUE(Run().ok());
  EXPECT_THAT(fakes_.settlements, IsEmpty());
  fakes_.SetPolicy("defaults: {when_redis_is_away: refuse, " + limits + "}");
  EXPECT_EQ(ReasonOfRun().reason, "LIMITS_UNAVAILABLE");
  fakes_.admission = limits::Admission{.place = "g:1"};
  EXPECT_EQ(ReasonOfRun().reason, "LIMITS_UNAVAILABLE");
  EXPECT_EQ(fakes_.settlements.at(0).place, "g:1");
}

// --- policy

TEST_F(GovernanceTest, ModelsTiersAndSizesAreThePolicys) {
  fakes_.SetPolicy(R"(
defaults: {models: [hamlet], tiers: [default], max_output_tokens: 20}
teams: {ml: {models: ["*"]}})");
  EXPECT_TRUE(Run().ok());
  ask_.model = "othello";
  EXPECT_EQ(ReasonOfRun().reason, "MODEL_NOT_ALLOWED");
  fakes_.identity->team = "ml";
  EXPECT_TRUE(Run().ok());
  ask_.tier = ServiceTier::kPriority;
  EXPECT_EQ(ReasonOfRun().reason, "TIER_NOT_ALLOWED");
  EXPECT_THAT(message_, HasSubstr("it allows default"));
  ask_.tier = ServiceTier::kDefault;
  ask_.max_tokens = 21;
  EXPECT_EQ(ReasonOfRun().reason, "MAX_TOKENS_EXCEEDED");
  ask_.max_tokens.reset();
  ask_.prompts = {std::vector<Message>{{"user", "hi"}}};
  EXPECT_TRUE(Run().ok());
  EXPECT_EQ(fakes_.asked_max_tokens, 20);
}

TEST_F(GovernanceTest, AKeyNarrowsWhatThePolicyAllowsAndNeverWidensIt) {
  fakes_.SetPolicy("defaults: {models: [hamlet, ham-1, othello], tiers: [flex, default]}");
  fakes_.identity->models = {"ham*", "macbeth"};
  fakes_.identity->tiers = {"default", "priority"};
  EXPECT_TRUE(Run().ok());
  ask_.model = "ham-1";
  EXPECT_TRUE(Run().ok());
  ask_.model = "othello";
  EXPECT_EQ(ReasonOfRun().reason, "MODEL_NOT_ALLOWED");
  EXPECT_THAT(message_, HasSubstr("this API key may not ask the model `othello`"));
  EXPECT_THAT(message_, HasSubstr("ham*, macbeth"));
  EXPECT_EQ(fakes_.starts, 2);
  ask_.model = "macbeth";
  EXPECT_EQ(ReasonOfRun().reason, "MODEL_NOT_ALLOWED");
  EXPECT_THAT(message_, HasSubstr("your team's policy"));
  ask_.model = "hamlet";
  ask_.tier = ServiceTier::kFlex;
  EXPECT_EQ(ReasonOfRun().reason, "TIER_NOT_ALLOWED");
  EXPECT_THAT(message_, HasSubstr("this API key may not ask for the service tier flex"));
  EXPECT_THAT(message_, HasSubstr("default, priority"));
  ask_.tier = ServiceTier::kPriority;
  EXPECT_EQ(ReasonOfRun().reason, "TIER_NOT_ALLOWED");
  EXPECT_THAT(message_, HasSubstr("your team's policy"));
}

TEST_F(GovernanceTest, ARequestKeepsThePolicyThatItBeganWith) {
  fakes_.SetPolicy("version: one\ndefaults: {output: [{words: [answer], name: w, action: mask}]}");
  const std::string digest = fakes_.policy->digest();
  // The policy changes as soon as it was asked for.
  struct Changing final : Policies {
    explicit Changing(FakePorts& fakes) : fakes(fakes) {}
    std::shared_ptr<const policy::Policy> Current() const override {
      auto current = fakes.policy;
      fakes.SetPolicy("version: two");
      return current;
    }
    FakePorts& fakes;
  } changing(fakes_);
  sink_ = std::make_unique<FakeSink>(fakes_);
  request_.authorization = "Bearer floe-secret";
  request_.ask = ask_;
  request_.sink = sink_.get();
  const Ports ports = fakes_.Ports(clock_);
  const Pipeline pipeline = GeneratingPipeline({.keys = ports.keys,
                                                .policies = changing,
                                                .limits = ports.limits,
                                                .models = ports.models,
                                                .retriever = ports.retriever,
                                                .prompts = ports.prompts,
                                                .cache = ports.cache,
                                                .generator = ports.generator,
                                                .embedder = ports.embedder,
                                                .prices = ports.prices,
                                                .budgets = ports.budgets,
                                                .steps = ports.steps,
                                                .usage = ports.usage,
                                                .draw_seed = ports.draw_seed,
                                                .clock = clock_});
  ASSERT_TRUE(RunToEnd(pipeline.Run(request_)).ok());
  EXPECT_EQ(TextOut(), "It is a [w]");
  EXPECT_EQ(Audit()["policy"], digest);
  EXPECT_EQ(Audit()["policy_version"], "one");
}

// --- rules on input

TEST_F(GovernanceTest, APromptIsMaskedBeforeAnythingElseSeesIt) {
  fakes_.SetPolicy("defaults: {audit_text: true, input: [{detector: card, action: mask}]}");
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(std::get<std::string>(fakes_.asked_prompt), "my card is [card]");
  EXPECT_EQ(Audit()["prompt"], "my card is [card]");
  EXPECT_EQ(Audit()["findings"][0]["rule"], "card");
  EXPECT_THAT(AuditLine(request_, {}), Not(HasSubstr("4111")));
}

TEST_F(GovernanceTest, ABlockedPromptNamesTheRuleAndNeverTheText) {
  fakes_.SetPolicy("defaults: {audit_text: true, input: [{detector: card, action: block}]}");
  const ErrorReason reason = ReasonOfRun();
  EXPECT_EQ(reason.reason, "CONTENT_BLOCKED");
  EXPECT_EQ(reason.metadata.at("rule"), "card");
  EXPECT_THAT(message_, HasSubstr("\"card\""));
  EXPECT_THAT(message_, Not(HasSubstr("4111")));
  EXPECT_THAT(AuditLine(request_, {}), Not(HasSubstr("4111")));
  EXPECT_EQ(fakes_.starts, 0);
}

TEST_F(GovernanceTest, EachMessageIsLookedThrough) {
  fakes_.SetPolicy("defaults: {input: [{detector: card, action: block}]}");
  ask_.prompts = {std::vector<Message>{{"system", "be kind"}, {"user", "4111 1111 1111 1111"}}};
  EXPECT_EQ(ReasonOfRun().metadata.at("param"), "messages[1].content");
}

TEST_F(GovernanceTest, IdsAreLookedThroughByWhatTheySay) {
  ask_.prompts = {std::vector<uint32_t>{1, 2, 3}};
  fakes_.decoded = "my card is 4111 1111 1111 1111";
  for (const char* action : {"block", "mask"}) {
    fakes_.SetPolicy(absl::StrCat("defaults: {input: [{detector: card, action: ", action, "}]}"));
    EXPECT_EQ(ReasonOfRun().reason, "CONTENT_BLOCKED") << action;
  }
  fakes_.SetPolicy("defaults: {input: [{detector: card, action: flag}]}");
  EXPECT_TRUE(Run().ok());
  EXPECT_EQ(request_.findings.size(), 1u);
  EXPECT_EQ(std::get<std::vector<uint32_t>>(fakes_.asked_prompt).size(), 3u);
}

TEST_F(GovernanceTest, AFlagIsRecordedAndChangesNothing) {
  fakes_.SetPolicy("defaults: {input: [{detector: card, action: flag}]}");
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(fakes_.asked_prompt, ask_.prompts[0]);
  ASSERT_EQ(request_.findings.size(), 1u);
  EXPECT_EQ(request_.findings[0].direction, Direction::kInput);
}

TEST_F(GovernanceTest, ALongPromptIsLookedThroughInTheBackground) {
  fakes_.SetPolicy("defaults: {input: [{detector: card, action: mask}]}");
  const std::string padding(100'000, ' ');
  ask_.prompts = {padding + "4111 1111 1111 1111"};
  sink_ = std::make_unique<FakeSink>(fakes_);
  request_.authorization = "Bearer floe-secret";
  request_.ask = ask_;
  request_.sink = sink_.get();
  boost::asio::thread_pool pool(1);
  Ports ports = fakes_.Ports(clock_);
  ports.background = pool.get_executor();
  const Pipeline pipeline = GeneratingPipeline(ports);
  EXPECT_TRUE(RunToEnd(pipeline.Run(request_)).ok());
  EXPECT_EQ(std::get<std::string>(fakes_.asked_prompt), padding + "[card]");
}

// --- rules on output

TEST_F(GovernanceTest, AnAnswerIsMaskedWhereverItIsCut) {
  fakes_.SetPolicy("defaults: {output: [{words: [blue falcon], name: project, action: mask}]}");
  const std::string text = "the blue falcon flies";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    fakes_.pieces = {Text(text.substr(0, cut)), Last(text.substr(cut))};
    ASSERT_TRUE(Run().ok());
    EXPECT_EQ(TextOut(), "the [project] flies") << cut;
    ASSERT_EQ(request_.findings.size(), 1u);
    EXPECT_EQ(request_.findings[0].direction, Direction::kOutput);
  }
}

TEST_F(GovernanceTest, ABlockEndsTheAnswerAndTheWorkerAndCountsWhatWasGenerated) {
  fakes_.SetPolicy("defaults: {output: [{words: [blue falcon], name: project, action: block}]}");
  fakes_.pieces = {Text("the blue"), Text(" falcon"), Text(" " + std::string(500, 'x')),
                   absl::InternalError("asked for more after the block")};
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(TextOut(), "the ");
  ASSERT_TRUE(request_.finish);
  EXPECT_EQ(request_.finish->reason, FinishReason::kContentFilter);
  EXPECT_EQ(request_.finish->prompt_tokens, 3);
  EXPECT_EQ(request_.finish->completion_tokens, 3);
  EXPECT_EQ(Audit()["finish_reason"], "content_filter");
}

TEST_F(GovernanceTest, ABlockAtTheVeryEndKeepsTheWorkersCounts) {
  fakes_.SetPolicy("defaults: {output: [{words: [answer], name: w, action: block}]}");
  fakes_.pieces.back()->finish->completion_tokens = 9;
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(TextOut(), "It is a ");
  EXPECT_EQ(request_.finish->reason, FinishReason::kContentFilter);
  EXPECT_EQ(request_.finish->completion_tokens, 9);
}

// --- cache

TEST_F(GovernanceTest, ADeterminedRequestIsAnsweredFromTheCache) {
  ask_.sampling.seed = 7;
  fakes_.pieces.back()->finish->completion_tokens = 3;
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(request_.cache, CacheUse::kMiss);
  EXPECT_EQ(fakes_.stored_ttl, absl::Hours(1));
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(request_.cache, CacheUse::kHit);
  EXPECT_EQ(fakes_.starts, 1);
  EXPECT_EQ(TextOut(), "It is a answer");
  EXPECT_EQ(request_.finish->completion_tokens, 3);
  EXPECT_EQ(request_.finish->prompt_tokens, 3);
  EXPECT_EQ(request_.arrived_tokens, 0);
  EXPECT_EQ(Audit()["cache"], "hit");
}

TEST_F(GovernanceTest, AnAnswerIsCachedForItsTeamAndItsCheckpointAlone) {
  ask_.sampling.seed = 7;
  ASSERT_TRUE(Run().ok());
  fakes_.identity->team = "ml";
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(request_.cache, CacheUse::kMiss) << "another team's answer";
  fakes_.identity->team = "nlp";
  fakes_.model->digest = "moved";
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(request_.cache, CacheUse::kMiss) << "another checkpoint's answer";
  fakes_.model->digest = "digest";
  fakes_.model->tokenizer_digest = "retrained";
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(request_.cache, CacheUse::kMiss) << "another tokenizer's answer";
  fakes_.model->tokenizer_digest = "tokenizer";
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(request_.cache, CacheUse::kHit);
}

TEST_F(GovernanceTest, WhatIsSampledOrSwitchedOffIsNotLookedFor) {
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(request_.cache, CacheUse::kOff);
  ask_.sampling.seed = 7;
  ask_.use_cache = false;
  ASSERT_TRUE(Run().ok());
  ask_.use_cache = true;
  fakes_.SetPolicy("defaults: {cache: {enabled: false}}");
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(fakes_.finds, 0);
  EXPECT_THAT(fakes_.answers, IsEmpty());
  ask_.sampling = {.temperature = 0};
  fakes_.SetPolicy("");
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(fakes_.finds, 1);
  ask_.sampling = {};
  fakes_.SetPolicy("defaults: {cache: {sampled: true}}");
  ASSERT_TRUE(Run().ok());
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(request_.cache, CacheUse::kHit);
}

TEST_F(GovernanceTest, OnlyWholeAnswersThatNoRuleChangedAreKept) {
  ask_.sampling.seed = 7;
  fakes_.pieces = {Text("a"), absl::UnavailableError("gone")};
  EXPECT_FALSE(Run().ok());
  fakes_.pieces = {Text("a "), Last("answer")};
  for (const char* action : {"block", "mask"}) {
    fakes_.SetPolicy(
        absl::StrCat("defaults: {output: [{words: [answer], name: w, action: ", action, "}]}"));
    EXPECT_TRUE(Run().ok());
  }
  ask_.response_format.kind = ResponseFormat::Kind::kJsonObject;
  EXPECT_FALSE(Run().ok());
  EXPECT_THAT(fakes_.answers, IsEmpty());
  ask_.response_format = {};
  fakes_.SetPolicy("defaults: {output: [{words: [answer], name: w, action: flag}]}");
  EXPECT_TRUE(Run().ok());
  EXPECT_EQ(fakes_.answers.size(), 1u);
}

TEST_F(GovernanceTest, ThePresentRulesApplyToACachedAnswer) {
  ask_.sampling.seed = 7;
  ASSERT_TRUE(Run().ok());
  // As if the stored answer had come in under this very policy.
  const cache::CachedAnswers answers = fakes_.answers.begin()->second;
  fakes_.SetPolicy("defaults: {output: [{words: [answer], name: w, action: block}]}");
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(request_.cache, CacheUse::kMiss) << "another policy is another partition";
  fakes_.answers[{request_.cache_key->team, request_.cache_key->digest}] = answers;
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(request_.cache, CacheUse::kHit);
  EXPECT_EQ(TextOut(), "It is a ");
  EXPECT_EQ(request_.finish->reason, FinishReason::kContentFilter);
}

TEST_F(GovernanceTest, ACacheThatIsAwayHasNothing) {
  ask_.sampling.seed = 7;
  fakes_.cache_status = absl::UnavailableError("away");
  EXPECT_TRUE(Run().ok());
  EXPECT_EQ(TextOut(), "It is a answer");
}

TEST_F(GovernanceTest, LongCachedAnswersComeInPiecesOfWholeCharacters) {
  ask_.sampling.seed = 7;
  std::string text;
  while (text.size() < 20'000) text += "a\u00e4\u20ac\U0001F600";
  fakes_.pieces = {Last(text)};
  ASSERT_TRUE(Run().ok());
  ASSERT_TRUE(Run().ok());
  ASSERT_EQ(request_.cache, CacheUse::kHit);
  EXPECT_GT(sink_->texts.size(), 3u);
  EXPECT_EQ(TextOut(), text);
  for (const std::string& piece : sink_->texts) EXPECT_TRUE(json::accept(json(piece).dump()));
}

// --- schema

TEST_F(GovernanceTest, AnAnswerThatFitsItsSchemaLeavesInOnePiece) {
  ask_.response_format = {ResponseFormat::Kind::kJsonSchema, R"({"required": ["age"]})"};
  fakes_.pieces = {Text("{\"age\""), Text(": 3"), Last("}")};
  ASSERT_TRUE(Run().ok());
  EXPECT_THAT(sink_->texts, ElementsAre("{\"age\": 3}"));
}

TEST_F(GovernanceTest, NothingOfAnAnswerThatBreaksItsSchemaLeaves) {
  ask_.response_format = {ResponseFormat::Kind::kJsonSchema, R"({"required": ["age"]})"};
  fakes_.pieces = {Text("{\"name\""), Last(": 3}")};
  const ErrorReason reason = ReasonOfRun();
  EXPECT_EQ(reason.reason, "ANSWER_BREAKS_SCHEMA");
  EXPECT_EQ(reason.metadata.at("http_status"), "422");
  EXPECT_THAT(message_, HasSubstr("lacks the property age"));
  EXPECT_THAT(sink_->texts, IsEmpty());
}

TEST_F(GovernanceTest, AStreamDoesNotWaitForTheCheckOfItsSchema) {
  ask_.response_format = {ResponseFormat::Kind::kJsonSchema, R"({"required": ["age"]})"};
  ask_.stream = true;
  fakes_.pieces = {Text("{\"name\""), Last(": 3}")};
  EXPECT_EQ(ReasonOfRun().reason, "ANSWER_BREAKS_SCHEMA");
  EXPECT_THAT(sink_->texts, ElementsAre("{\"name\""));
}

TEST_F(GovernanceTest, AnAnswerThatWasCutOffIsTheBeginningOfOne) {
  ask_.response_format = {ResponseFormat::Kind::kJsonSchema, R"({"required": ["age"]})"};
  fakes_.pieces = {Text("{\"age"), Last("")};
  fakes_.pieces.back()->finish->reason = FinishReason::kLength;
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(TextOut(), "{\"age");
  EXPECT_EQ(request_.finish->reason, FinishReason::kLength);
}

TEST_F(GovernanceTest, AFormThatNoWorkerCanHoldNamesTheFieldThatSaysIt) {
  ask_.response_format = {ResponseFormat::Kind::kRegex, "(a)\\1", "structured_outputs.regex"};
  fakes_.start =
      WithReason(absl::InvalidArgumentError("\\1 is not supported"), "INVALID_CONSTRAINT");
  const ErrorReason reason = ReasonOfRun();
  EXPECT_EQ(reason.reason, "INVALID_CONSTRAINT");
  EXPECT_EQ(reason.metadata.at("param"), "structured_outputs.regex");
}

TEST_F(GovernanceTest, ASchemaThatIsNoneIsRefusedBeforeAnythingIsComputed) {
  ask_.response_format = {ResponseFormat::Kind::kJsonSchema, R"({"type": "text"})",
                          "response_format.json_schema.schema"};
  const ErrorReason reason = ReasonOfRun();
  EXPECT_EQ(reason.reason, "INVALID_VALUE");
  EXPECT_EQ(reason.metadata.at("param"), "response_format.json_schema.schema");
  EXPECT_EQ(fakes_.starts, 0);
}

// --- audit

TEST_F(GovernanceTest, AnAuditRecordHasNoTextUnlessThePolicySaysSo) {
  fakes_.identity->tenant = "acme";
  ASSERT_TRUE(Run().ok());
  const std::string line = AuditLine(request_, {.status = 200, .took = absl::Milliseconds(5)});
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_THAT(line, Not(HasSubstr("4111")));
  EXPECT_THAT(line, Not(HasSubstr("floe-secret")));
  const json record = json::parse(line);
  EXPECT_FALSE(record.contains("prompt"));
  EXPECT_FALSE(record.contains("answer"));
  EXPECT_EQ(record["log"], "audit");
  EXPECT_EQ(record["tenant"], "acme");
  EXPECT_EQ(record["team"], "nlp");
  EXPECT_EQ(record["key_id"], "k");
  EXPECT_EQ(record["checkpoint"], "digest");
  EXPECT_EQ(record["policy"], fakes_.policy->digest());
  EXPECT_EQ(record["status"], 200);
  EXPECT_EQ(record["seconds"], 0.005);
  EXPECT_TRUE(record["stage_seconds"].contains("guard_output"));
  fakes_.SetPolicy("defaults: {audit_text: true}");
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Audit()["answer"], "It is a answer");
}

TEST_F(GovernanceTest, ARequestThatWasNobodysHasARecordToo) {
  const json record = json::parse(AuditLine(Request(), {.status = 401, .code = "invalid_api_key"}));
  EXPECT_EQ(record["team"], "");
  EXPECT_EQ(record["policy"], "");
  EXPECT_EQ(record["code"], "invalid_api_key");
}

}  // namespace
}  // namespace floe::gateway
