// What passages are worth to a model: the same answers, scored with and without them.
#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "tests/services/retrieval/service_fixture.h"

namespace floe::retrieval {
namespace {

using Stub = v1::RetrievalService::Stub;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;

class EvaluateTest : public ServiceTest {
 protected:
  EvaluateTest() {
    Create("words");
    Store("words", {{"zyx", "zyx: qqq jjj vvv."}, {"other", "Some other entry."}});
    request_.set_collection("teams/nlp/collections/words");
    request_.set_model("hamlet");
    request_.set_top_k(1);
  }
  void Ask(const std::string& question, const std::string& answer) {
    auto& added = *request_.add_questions();
    added.set_question(question);
    added.set_answer(answer);
  }
  absl::Status Run(const std::string& team = "nlp") {
    return Call(&Stub::EvaluateCollection, request_, answer_, team);
  }
  std::vector<std::string> Prompts() const {
    auto prompts = workers_[0].prompts();
    for (const std::string& prompt : workers_[1].prompts()) prompts.push_back(prompt);
    return prompts;
  }

  v1::EvaluateCollectionRequest request_;
  v1::EvaluateCollectionResponse answer_;
};

TEST_F(EvaluateTest, AnAnswerThatStandsInThePassageIsLikelier) {
  Ask("What is zyx?", "qj");
  const absl::Status status = Run();
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(answer_.scores_size(), 1);
  EXPECT_EQ(answer_.scores(0).answer_tokens(), 2);
  EXPECT_EQ(answer_.scores(0).log_likelihood_without(), -10);
  EXPECT_EQ(answer_.scores(0).log_likelihood_with(), -2);
  ASSERT_EQ(answer_.scores(0).passages_size(), 1);
  EXPECT_THAT(answer_.scores(0).passages(0).chunk().document(), EndsWith("/zyx"));
  EXPECT_EQ(answer_.scores(0).passages(0).chunk().text(), "");
  EXPECT_EQ(answer_.model_digest().size(), 64u);
  const auto prompts = Prompts();
  ASSERT_EQ(prompts.size(), 2u);
  EXPECT_EQ(prompts[0], "user\nWhat is zyx?\nassistant\n");
  EXPECT_THAT(prompts[1], AllOf(HasSubstr("<passage 1>\nzyx: qqq jjj vvv.\n</passage>"),
                                EndsWith("\n\nWhat is zyx?\nassistant\n")));
}

TEST_F(EvaluateTest, PlainTextHasNoTemplate) {
  request_.set_prompt(v1::EvaluateCollectionRequest::TEXT);
  Ask("What is zyx?", "qj");
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Prompts()[0], "What is zyx?\n");
}

TEST_F(EvaluateTest, PassagesThatDoNotFitAreLeftOut) {
  Store("words", {{"long1", std::string(120, 'y') + " longish"},
                  {"long2", std::string(120, 'x') + " longish"},
                  {"long3", std::string(120, 'w') + " longish"}});
  request_.set_top_k(10);
  Ask("longish " + std::string(100, 'a'), std::string(80, 'z'));
  const absl::Status status = Run();
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_LT(answer_.scores(0).passages_size(), 3);
  for (const std::string& prompt : Prompts()) EXPECT_LE(prompt.size() + 80, 512u);
}

TEST_F(EvaluateTest, WhatCannotBeEvaluatedIsNamed) {
  EXPECT_THAT(std::string(Run().message()), HasSubstr("questions has 0 entries"));
  Ask("What?", "");
  EXPECT_THAT(std::string(Run().message()), HasSubstr("questions[0] needs"));
  request_.clear_questions();
  Ask("What?", "This.");
  Ask("What?", std::string(600, 'z'));
  EXPECT_THAT(std::string(Run().message()),
              AllOf(HasSubstr("questions[1]"), HasSubstr("context is 512")));
  request_.clear_questions();
  Ask("What?", "This.");
  request_.set_model("macbeth");
  EXPECT_EQ(Run().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Run("shop").code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace floe::retrieval
