// Answers that move between workers, with real ones: floe-inference as processes that are told to
// end, or killed, while they stream; and the bill of that.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "billing/receipt.h"
#include "services/usage/attempt_proto.h"
#include "tests/services/gateway/http/http_client.h"
#include "tests/services/gateway/moving/moving_fixture.h"

namespace floe::gateway {
namespace {

namespace pb = billing::v1;
using nlohmann::json;

constexpr char kPath[] = "/v1/completions";
constexpr int64_t kLongAnswer = 12000;
constexpr char kPrompt[] = "Once upon a time";

// Text, the id it is charged under, and tokens.
struct Answer {
  std::string text;
  std::string usage_id;
  int64_t tokens = 0;
  bool whole = false;
};

Answer AnswerOf(const HttpAnswer& http) {
  Answer answer;
  answer.usage_id = http.headers.count("x-floe-usage-id") ? http.headers.at("x-floe-usage-id") : "";
  for (const std::string& event : EventsOf(http.body)) {
    answer.whole = event == "[DONE]";
    if (answer.whole) break;
    const json chunk = json::parse(event);
    EXPECT_FALSE(chunk.contains("error")) << event;
    for (const json& choice : chunk.value("choices", json::array())) {
      answer.text += choice.value("text", "");
    }
    if (chunk.contains("usage") && chunk["usage"].is_object()) {
      answer.tokens = chunk["usage"]["completion_tokens"];
    }
  }
  return answer;
}

class MovingTest : public MovingFixture {
 protected:
  // Sampled, so that the seed matters, and of any length: no id ends it.
  static std::string Body(int64_t max_tokens, int seed) {
    return json({{"model", "hamlet"},
                 {"prompt", kPrompt},
                 {"max_tokens", max_tokens},
                 {"temperature", 1},
                 {"seed", seed},
                 {"stream", true},
                 {"stream_options", {{"include_usage", true}}}})
        .dump();
  }

  Answer Ask(int64_t max_tokens, int seed) {
    const HttpAnswer answer = HttpClient(fleet_->port()).Post(kPath, Body(max_tokens, seed));
    EXPECT_EQ(answer.status, 200) << answer.body;
    return AnswerOf(answer);
  }

  // Asks, and sends `signal` to the worker that answers when the first words have come. That
  // worker.
  WorkerProcess& AskAndSignal(int signal, int seed, Answer& answer) {
    HttpClient client(fleet_->port());
    EXPECT_TRUE(client.Write(PostText(kPath, Body(kLongAnswer, seed))));
    EXPECT_TRUE(client.Await("data: "));
    WorkerProcess& busy = AwaitBusy();
    busy.process().Signal(signal);
    answer = AnswerOf(client.ReadAnswer());
    return busy;
  }

  WorkerProcess& Other(const WorkerProcess& worker) {
    return workers_[0].get() == &worker ? *workers_[1] : *workers_[0];
  }

  // Every worker's own record is as signed, and the gateway holds its receipt.
  void ExpectSigned(const pb::ExplainUsageResponse& usage) {
    std::vector<std::string> receipts;
    for (const pb::Attempt& attempt : usage.attempts()) {
      const billing::Attempt record = usage::FromProto(attempt);
      EXPECT_EQ(record.receipt.digest, billing::ReceiptDigest(record));
      EXPECT_GT(attempt.model_tokens(), 0);
      EXPECT_GT(record.prefill_time, absl::ZeroDuration());
      EXPECT_GT(record.decode_time, absl::ZeroDuration());
      EXPECT_GT(record.kv_block_time, absl::ZeroDuration());
      receipts.push_back(attempt.receipt().digest());
    }
    EXPECT_THAT(usage.event().receipts(), testing::UnorderedElementsAreArray(receipts));
  }

  // What is charged is what arrived: the prompt once and each token once.
  void ExpectChargedOnce(const pb::ExplainUsageResponse& usage) {
    EXPECT_EQ(usage.event().arrived_tokens(), kLongAnswer);
    EXPECT_EQ(usage.event().quantities().output_tokens(), kLongAnswer);
    const int64_t prompt = static_cast<int64_t>(std::string(kPrompt).size());
    EXPECT_EQ(usage.event().quantities().input_tokens() +
                  usage.event().quantities().cached_input_tokens(),
              prompt);
  }
};

TEST_F(MovingTest, AStreamOfAWorkerThatMustEndGoesOnElsewhereAsIfNothingHadHappened) {
  StartWorkers(/*drain_grace=*/absl::Milliseconds(300));
  const Answer undisturbed = Ask(kLongAnswer, 7);
  ASSERT_TRUE(undisturbed.whole);
  ASSERT_EQ(undisturbed.tokens, kLongAnswer);

  Answer moved;
  WorkerProcess& ended = AskAndSignal(SIGTERM, 7, moved);
  EXPECT_TRUE(moved.whole);
  EXPECT_EQ(moved.tokens, kLongAnswer);
  EXPECT_EQ(moved.text, undisturbed.text);
  EXPECT_EQ(ended.process().Wait(absl::Minutes(1)), 0) << ended.Log();
  EXPECT_THAT(fleet_->metrics(),
              testing::HasSubstr("floe_gateway_moved_streams_total{reason=\"drain\"} 1"));

  ASSERT_TRUE(till_.Flush());
  const pb::ExplainUsageResponse usage = ExplainAttempts(moved.usage_id, 2);
  EXPECT_EQ(usage.attempts_size(), 2);
  ExpectChargedOnce(usage);
  ExpectSigned(usage);
  const auto verified = billing_.Verify();
  EXPECT_TRUE(verified.clean()) << verified.DebugString();
  EXPECT_EQ(verified.charged_tokens(), 2 * kLongAnswer);
  EXPECT_EQ(verified.receipts(), 3) << "of the undisturbed one, and two of the other";
}

// Its worker signed for what it had computed by then, and the books say so: nobody was given it.
TEST_F(MovingTest, WhoLeavesBeforeAnAnswerInOnePieceIsChargedThePromptAndNoToken) {
  StartWorkers(/*drain_grace=*/absl::Seconds(20));
  json body = json::parse(Body(kLongAnswer, 7));
  body.erase("stream");
  body.erase("stream_options");
  {
    HttpClient client(fleet_->port());
    ASSERT_TRUE(client.Write(PostText(kPath, body.dump())));
    AwaitBusy(/*blocks=*/40);  // it is at some hundredth token
  }
  while (till_.journal().stats().appended == 0) till_.journal().Sync();
  ASSERT_TRUE(till_.Flush());
  pb::VerifyUsageResponse verified = billing_.Verify();
  while (verified.on_the_way() > 0 || verified.receipts() == 0) verified = billing_.Verify();
  EXPECT_TRUE(verified.clean()) << verified.DebugString();
  EXPECT_EQ(verified.requests(), 1);
  EXPECT_EQ(verified.receipts(), 1);
  EXPECT_EQ(verified.charged_tokens(), 0);
  EXPECT_GT(verified.arrived_tokens(), 100)
      << "at the gateway, which kept them for the whole answer";
  EXPECT_LT(verified.computed_tokens(), kLongAnswer) << "its worker was told that nobody waits";
  EXPECT_EQ(verified.undelivered_tokens(), verified.computed_tokens());
  const pb::ReportRow total = billing_.Total();
  EXPECT_EQ(total.requests(), 1);
  EXPECT_EQ(total.output_tokens(), 0);
  EXPECT_EQ(total.input_tokens(), static_cast<int64_t>(std::string(kPrompt).size()));
  EXPECT_EQ(total.charge().picodollars(),
            absl::StrCat(total.input_tokens() * kInputPicos + kCallPicos));
}

TEST_F(MovingTest, VectorsAreSignedForToo) {
  StartWorkers(/*drain_grace=*/absl::Seconds(20));
  const HttpAnswer answer =
      HttpClient(fleet_->port())
          .Post("/v1/embeddings", R"({"model": "hamlet", "input": ["Once upon", "a time"]})");
  ASSERT_EQ(answer.status, 200) << answer.body;
  ASSERT_TRUE(till_.Flush());
  const std::string usage_id = json::parse(answer.body)["floe"]["usage_id"];
  const pb::ExplainUsageResponse usage = ExplainAttempts(usage_id, 1);
  ASSERT_EQ(usage.attempts_size(), 1);
  EXPECT_EQ(usage.attempts(0).model_tokens(), 15);
  EXPECT_THAT(usage.event().receipts(), testing::ElementsAre(usage.attempts(0).receipt().digest()));
  const auto verified = billing_.Verify();
  EXPECT_TRUE(verified.clean()) << verified.DebugString();
}

TEST_F(MovingTest, AWorkerThatDrainsFinishesWhatItHasAndIsNotAskedAgain) {
  StartWorkers(/*drain_grace=*/absl::Minutes(5));
  Answer last;
  std::thread client([&] { last = Ask(kLongAnswer, 7); });
  WorkerProcess& ending = AwaitBusy();
  ending.process().Signal(SIGTERM);
  while (ending.load().running > 0) {
  }  // until it takes no calls any more
  std::vector<Answer> answers;
  for (int i = 0; i < 20; ++i) answers.push_back(Ask(4, 1));
  client.join();
  EXPECT_EQ(ending.process().Wait(absl::Minutes(1)), 0) << ending.Log();
  EXPECT_TRUE(last.whole);
  EXPECT_EQ(last.tokens, kLongAnswer);

  ASSERT_TRUE(till_.Flush());
  const pb::ExplainUsageResponse usage = ExplainAttempts(last.usage_id, 1);
  ASSERT_EQ(usage.attempts_size(), 1) << "it finished here";
  EXPECT_EQ(usage.attempts(0).worker(), ending.name());
  ExpectChargedOnce(usage);
  for (const Answer& answer : answers) {
    const pb::ExplainUsageResponse other = ExplainAttempts(answer.usage_id, 1);
    ASSERT_EQ(other.attempts_size(), 1);
    EXPECT_EQ(other.attempts(0).worker(), Other(ending).name());
  }
}

TEST_F(MovingTest, AStreamOfAWorkerThatIsKilledGoesOnElsewhereAsIfNothingHadHappened) {
  StartWorkers(/*drain_grace=*/absl::Seconds(20));
  const Answer undisturbed = Ask(kLongAnswer, 9);
  Answer moved;
  AskAndSignal(SIGKILL, 9, moved);
  EXPECT_TRUE(moved.whole);
  EXPECT_EQ(moved.tokens, kLongAnswer);
  EXPECT_EQ(moved.text, undisturbed.text);
  EXPECT_THAT(fleet_->metrics(),
              testing::HasSubstr("floe_gateway_moved_streams_total{reason=\"failure\"} 1"));
  ASSERT_TRUE(till_.Flush());
  ExpectChargedOnce(ExplainAttempts(moved.usage_id, 1));
}

}  // namespace
}  // namespace floe::gateway
