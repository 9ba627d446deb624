#include "trainer/evaluation/evaluate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "absl/strings/str_cat.h"

#include "tests/tokenizer/sample_tokenizer.h"

namespace floe::trainer {
namespace {

using testing::HasSubstr;

// Gives each id a log-probability that follows from the id and the one before it.
class FakeScorer final : public Scorer {
 public:
  absl::StatusOr<std::vector<ScoreAnswer>> Score(std::span<const ScoreQuery> queries) override {
    calls.push_back(queries.size());
    if (!failure.ok()) return failure;
    std::vector<ScoreAnswer> answers;
    for (const ScoreQuery& query : queries) {
      ScoreAnswer answer;
      for (size_t i = static_cast<size_t>(query.score_from); i < query.ids.size(); ++i) {
        answer.log_probabilities.push_back(LogProbability(query.ids[i], query.ids[i - 1]));
        answer.greedy.push_back(greedy || query.ids[i] % 2 == 0);
      }
      longest = std::max(longest, query.ids.size());
      answers.push_back(std::move(answer));
    }
    return answers;
  }
  double LogProbability(int32_t id, int32_t before) const {
    if (broken) return std::nan("");
    return -0.1 - 0.001 * static_cast<double>(id) - 0.0007 * static_cast<double>(before % 10);
  }

  std::vector<size_t> calls;
  size_t longest = 0;
  bool greedy = false;
  bool broken = false;
  absl::Status failure;
};

class EvaluateTest : public testing::Test {
 protected:
  EvaluationModel Model(int64_t context = 100) { return {scorer_, *tokenizer_, context}; }
  EvaluationOptions Batch(int64_t size) {
    EvaluationOptions options;
    options.batch_size = size;
    return options;
  }
  // Of an answer behind a prompt, its <|im_end|> included, and how many tokens it has.
  double LogProbability(const std::string& prompt, const std::string& answer, int64_t& tokens) {
    const std::vector<ChatMessage> messages = {{"user", prompt}};
    auto ids = tokenizer::RenderChat(*tokenizer_, messages).value();
    const size_t from = ids.size();
    tokenizer_->EncodeTo(answer, ids);
    ids.push_back(*tokenizer_->SpecialId(tokenizer::kMessageEnd));
    double sum = 0;
    for (size_t i = from; i < ids.size(); ++i) sum += scorer_.LogProbability(ids[i], ids[i - 1]);
    tokens += static_cast<int64_t>(ids.size() - from);
    return sum;
  }

  FakeScorer scorer_;
  const std::unique_ptr<const tokenizer::Tokenizer> tokenizer_ = tokenizer::SampleTokenizer();
};

std::string ChatLine(const std::string& question, const std::string& answer) {
  return absl::StrCat(R"({"messages": [{"role": "user", "content": ")", question,
                      R"("}, {"role": "assistant", "content": ")", answer, "\"}]}\n");
}

std::string PairLine(const std::string& chosen, const std::string& rejected) {
  return absl::StrCat(R"({"prompt": "Q", "chosen": ")", chosen, R"(", "rejected": ")", rejected,
                      "\"}\n");
}

TEST_F(EvaluateTest, TheAnswersLossIsOverTheirTokensAlone) {
  const auto result = EvaluateFile(
      Model(), ChatLine("Q", "short") + ChatLine("Other", "a longer answer"), "chat", Batch(8));
  ASSERT_TRUE(result.ok()) << result.status();
  int64_t tokens = 0;
  const double sum =
      LogProbability("Q", "short", tokens) + LogProbability("Other", "a longer answer", tokens);
  EXPECT_EQ(result->tokens, tokens);
  EXPECT_EQ(result->examples, 2);
  EXPECT_NEAR(result->metrics.at("answer_loss"), -sum / static_cast<double>(tokens), 1e-12);
  EXPECT_NEAR(result->metrics.at("answer_perplexity"), std::exp(result->metrics.at("answer_loss")),
              1e-9);
  EXPECT_LT(result->metrics.at("exact_match"), 1);
  scorer_.greedy = true;
  const auto all = EvaluateFile(Model(), ChatLine("Q", "short"), "chat", Batch(8));
  EXPECT_EQ(all->metrics.at("exact_match"), 1);
  EXPECT_EQ(all->metrics.at("token_accuracy"), 1);
}

TEST_F(EvaluateTest, PreferencesCountTheLikelierAnswer) {
  const auto result =
      EvaluateFile(Model(), PairLine("a", "a far longer answer") + PairLine("many words here", "b"),
                   "preference", Batch(3));
  ASSERT_TRUE(result.ok()) << result.status();
  int64_t ignored = 0;
  const double first =
      LogProbability("Q", "a", ignored) - LogProbability("Q", "a far longer answer", ignored);
  const double second =
      LogProbability("Q", "many words here", ignored) - LogProbability("Q", "b", ignored);
  EXPECT_GT(first, 0);
  EXPECT_LT(second, 0);
  EXPECT_EQ(result->metrics.at("preference_accuracy"), 0.5);
  EXPECT_NEAR(result->metrics.at("preference_margin"), (first + second) / 2, 1e-12);
  EXPECT_TRUE(result->metrics.contains("preference_accuracy_per_token"));
}

TEST_F(EvaluateTest, ChoicesTakeTheLikeliest) {
  const std::string questions =
      R"({"prompt": "Q", "choices": ["a very long wrong answer", "b"], "answer": 1})"
      "\n"
      R"({"prompt": "Q", "choices": ["a very long right answer", "b", "c"], "answer": 0})";
  const auto result = EvaluateFile(Model(), questions, "choices", Batch(2));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->metrics.at("accuracy"), 0.5);
  int64_t ignored = 0;
  EXPECT_NEAR(result->metrics.at("answer_log_likelihood"),
              (LogProbability("Q", "b", ignored) +
               LogProbability("Q", "a very long right answer", ignored)) /
                  2,
              1e-12);
}

TEST_F(EvaluateTest, EveryTokenOfADocumentIsScoredOnceInWindows) {
  const std::string document = "the river and the rain and the river and the rain by the river";
  const auto ids = tokenizer_->Encode(document);
  ASSERT_GT(ids.size(), 12u);
  std::vector<tokenizer::TokenId> behind = {*tokenizer_->SpecialId(tokenizer::kEndOfText)};
  behind.insert(behind.end(), ids.begin(), ids.end());
  double sum = 0;
  for (size_t i = 1; i < behind.size(); ++i)
    sum += scorer_.LogProbability(behind[i], behind[i - 1]);
  for (const int64_t context : {5, 6, 100}) {
    const auto result = EvaluateFile(Model(context), document, "text", Batch(4));
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->tokens, static_cast<int64_t>(ids.size())) << context;
    EXPECT_NEAR(result->metrics.at("loss"), -sum / static_cast<double>(ids.size()), 1e-12);
    EXPECT_NEAR(result->metrics.at("bits_per_byte"),
                -sum / static_cast<double>(document.size()) / std::log(2.0), 1e-12);
    EXPECT_LE(scorer_.longest, static_cast<size_t>(std::max<int64_t>(context, 6)));
  }
}

TEST_F(EvaluateTest, TheSameScoresAtAnyBatchSize) {
  std::string chats, pairs;
  for (int i = 0; i < 23; ++i) {
    chats += ChatLine(absl::StrCat("Question ", i), absl::StrCat("answer ", i * i));
    pairs += PairLine(absl::StrCat("yes ", i), absl::StrCat("no ", i, " never"));
  }
  for (const auto& [file, format] : {std::pair(chats, "chat"), std::pair(pairs, "preference")}) {
    const auto one = EvaluateFile(Model(), file, format, Batch(1));
    ASSERT_TRUE(one.ok()) << one.status();
    for (const int64_t size : {2, 7, 1000}) {
      EXPECT_EQ(EvaluateFile(Model(), file, format, Batch(size))->metrics, one->metrics) << size;
    }
  }
}

TEST_F(EvaluateTest, TellsHowFarItIsAndStops) {
  std::string chats;
  for (int i = 0; i < 10; ++i) chats += ChatLine("Q", absl::StrCat("a", i));
  std::stop_source stop;
  EvaluationOptions options = Batch(4);
  std::vector<int64_t> told;
  options.stop = stop.get_token();
  options.on_progress = [&](int64_t done, int64_t total) {
    EXPECT_EQ(total, 10);
    told.push_back(done);
    if (done == 8) stop.request_stop();
  };
  const auto result = EvaluateFile(Model(), chats, "chat", options);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(told, (std::vector<int64_t>{4, 8}));
}

TEST_F(EvaluateTest, WhatCannotBeScoredIsSaid) {
  const auto failure = [&](std::string_view file, std::string_view format, int64_t context = 100) {
    const auto result = EvaluateFile(Model(context), file, format, Batch(4));
    EXPECT_FALSE(result.ok());
    return result.status();
  };
  EXPECT_THAT(std::string(failure("{}", "chat").message()), HasSubstr("line 1"));
  EXPECT_THAT(std::string(failure("x", "csv").message()), HasSubstr("known are text"));
  const std::string pair = PairLine("a", "b");
  EXPECT_THAT(std::string(failure(pair, "preference", 5).message()),
              HasSubstr("line 1: the text has"));
  scorer_.failure = absl::UnavailableError("no worker");
  EXPECT_EQ(failure(pair, "preference").code(), absl::StatusCode::kUnavailable);
  scorer_.failure = absl::OkStatus();
  scorer_.broken = true;
  EXPECT_EQ(failure(pair, "preference").code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace floe::trainer
