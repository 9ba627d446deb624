#include "registry/gate.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace floe::registry {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kData(64, 'd');

constexpr char kPolicy[] = R"(gates:
  - metric: answer_loss
    dataset: held-out
    better: lower
    may_worsen_by: 0.1
  - {metric: preference_accuracy, dataset: pairs, better: higher, at_least: 0.6, alias: canary}
)";

Gate LossGate(double may_worsen_by) {
  return {.dataset = absl::StrCat("sha256:", kData),
          .metric = "answer_loss",
          .may_worsen_by = may_worsen_by};
}

Evaluation Scored(double loss) {
  Evaluation evaluation;
  evaluation.dataset_digest = kData;
  evaluation.tokenizer_digest = std::string(64, '7');
  evaluation.template_digest = std::string(64, 'c');
  evaluation.task = "chat";
  evaluation.metrics["answer_loss"] = loss;
  return evaluation;
}

PromotionFacts Facts(double candidate, double incumbent) {
  return {"production", "lexicon@3", {Scored(candidate)}, "lexicon@1", {Scored(incumbent)}};
}

TEST(GatePolicyTest, ReadsAndComesBackFromItsJson) {
  const auto gates = ParseGates(kPolicy);
  ASSERT_TRUE(gates.ok()) << gates.status();
  ASSERT_EQ(gates->size(), 2u);
  EXPECT_EQ((*gates)[0].alias, "production");
  EXPECT_EQ((*gates)[0].may_worsen_by, 0.1);
  EXPECT_FALSE((*gates)[0].higher_is_better);
  EXPECT_EQ((*gates)[1].alias, "canary");
  EXPECT_EQ((*gates)[1].at_least, 0.6);
  EXPECT_EQ((*gates)[1].at_most, std::nullopt);
  EXPECT_EQ(*ParseGates(GatesJson(*gates)), *gates);
}

TEST(GatePolicyTest, MistakesAreNamedWithTheirLine) {
  const auto mistake = [](const std::string& yaml) {
    const auto gates = ParseGates(yaml);
    EXPECT_EQ(gates.status().code(), absl::StatusCode::kInvalidArgument) << yaml;
    return std::string(gates.status().message());
  };
  EXPECT_THAT(mistake("gates: []"), HasSubstr("gates must be a list"));
  EXPECT_THAT(mistake("gates:\n  - {metric: a, dataset: b}"),
              AllOf(HasSubstr("line 2"), HasSubstr("\"better\" is missing")));
  EXPECT_THAT(mistake("gates:\n  - {metric: a, dataset: b, better: more}"),
              HasSubstr("known are lower, higher"));
  EXPECT_THAT(mistake("gates:\n  - {metric: a, dataset: 'sha256:12', better: lower}"),
              HasSubstr("dataset is"));
  EXPECT_THAT(mistake("gates:\n  - {metric: a, dataset: b, better: lower, may_worsen_by: -1}"),
              HasSubstr("may_worsen_by"));
  EXPECT_THAT(mistake("gates:\n  - {metric: a, dataset: b, better: lower, at_most: x}"),
              HasSubstr("at_most"));
  EXPECT_THAT(mistake("gates:\n  - {metric: a, dataset: b, better: lower, alias: '3'}"),
              HasSubstr("alias"));
  EXPECT_THAT(mistake("gates:\n  - {metric: a, datasets: b, better: lower}"),
              HasSubstr("unknown key"));
  EXPECT_THAT(mistake("gate: x"), HasSubstr("unknown key \"gate\""));
  EXPECT_THAT(mistake("{}"), HasSubstr("\"gates\" is missing"));
}

TEST(FailingGatesTest, ABetterCandidatePasses) {
  EXPECT_THAT(FailingGates({LossGate(0)}, Facts(2.0, 2.5)), IsEmpty());
  EXPECT_THAT(FailingGates({LossGate(0)}, Facts(2.5, 2.5)), IsEmpty());
}

TEST(FailingGatesTest, AWorseCandidateFailsWithItsNumbers) {
  EXPECT_THAT(FailingGates({LossGate(0.25)}, Facts(3.0, 2.5)),
              ElementsAre(AllOf(HasSubstr("answer_loss"), HasSubstr("is 3 for lexicon@3"),
                                HasSubstr("2.5 for lexicon@1"), HasSubstr("worse by 0.5"),
                                HasSubstr("0.25 is allowed"))));
  EXPECT_THAT(FailingGates({LossGate(0.5)}, Facts(3.0, 2.5)), IsEmpty());
}

TEST(FailingGatesTest, HigherMayBeBetter) {
  Gate gate = LossGate(0);
  gate.higher_is_better = true;
  EXPECT_THAT(FailingGates({gate}, Facts(3.0, 2.5)), IsEmpty());
  EXPECT_EQ(FailingGates({gate}, Facts(2.0, 2.5)).size(), 1u);
}

TEST(FailingGatesTest, BoundsHoldForAFirstVersionToo) {
  Gate gate = LossGate(0);
  gate.at_most = 2;
  gate.at_least = 1;
  PromotionFacts facts = Facts(3, 0);
  facts.incumbent = "";
  facts.incumbent_evidence.clear();
  EXPECT_THAT(FailingGates({gate}, facts), ElementsAre(HasSubstr("at most 2 is allowed")));
  facts.candidate_evidence = {Scored(0.5)};
  EXPECT_THAT(FailingGates({gate}, facts), ElementsAre(HasSubstr("at least 1 is asked")));
  facts.candidate_evidence = {Scored(1.5)};
  EXPECT_THAT(FailingGates({gate}, facts), IsEmpty());
}

TEST(FailingGatesTest, WithoutEvidenceNothingMoves) {
  PromotionFacts facts = Facts(1, 2);
  facts.candidate_evidence.clear();
  EXPECT_THAT(
      FailingGates({LossGate(0)}, facts),
      ElementsAre(AllOf(HasSubstr("lexicon@3 has no answer_loss"), HasSubstr("floe eval"))));
  facts = Facts(1, 2);
  facts.incumbent_evidence.clear();
  EXPECT_THAT(FailingGates({LossGate(0)}, facts),
              ElementsAre(HasSubstr("lexicon@1 has no comparable answer_loss")));
}

TEST(FailingGatesTest, OnlyLikeIsComparedWithLike) {
  PromotionFacts facts = Facts(3.0, 2.0);
  Evaluation other = Scored(9.0);
  other.template_digest = std::string(64, 'e');
  facts.incumbent_evidence.insert(facts.incumbent_evidence.begin(), other);
  EXPECT_EQ(FailingGates({LossGate(0)}, facts).size(), 1u);  // 9.0 is not looked at
  facts.incumbent_evidence = {other};
  EXPECT_THAT(FailingGates({LossGate(0)}, facts), ElementsAre(HasSubstr("no comparable")));
}

TEST(FailingGatesTest, TheNewestEvidenceCountsAndOtherAliasesAreFree) {
  PromotionFacts facts = Facts(3.0, 2.5);
  facts.candidate_evidence.insert(facts.candidate_evidence.begin(), Scored(2.0));
  EXPECT_THAT(FailingGates({LossGate(0)}, facts), IsEmpty());
  facts = Facts(3.0, 2.5);
  facts.alias = "canary";
  EXPECT_THAT(FailingGates({LossGate(0)}, facts), IsEmpty());
}

TEST(EvaluationTest, ItsNameFollowsFromItsContent) {
  Evaluation one = Scored(2.5);
  one.model_digest = std::string(64, 'a');
  one.examples = 3;
  one.tokenizer_digest = std::string(64, 'b');
  EXPECT_TRUE(Validate(one).ok()) << Validate(one);
  Evaluation same = one;
  same.job = "another";
  EXPECT_EQ(EvaluationId(one), EvaluationId(same));
  EXPECT_THAT(EvaluationId(one), testing::StartsWith("ev-"));
  Evaluation other = one;
  other.metrics["answer_loss"] = std::nextafter(2.5, 3);
  EXPECT_NE(EvaluationId(one), EvaluationId(other));
}

TEST(EvaluationTest, RefusesWhatIsNoEvidence) {
  Evaluation good = Scored(2.5);
  good.model_digest = std::string(64, 'a');
  good.tokenizer_digest = std::string(64, 'b');
  good.examples = 1;
  const auto mistake = [&](auto change) {
    Evaluation bad = good;
    change(bad);
    const absl::Status status = Validate(bad);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_TRUE(Validate(good).ok()) << Validate(good);
  EXPECT_THAT(mistake([](Evaluation& e) { e.model_digest = "12"; }), HasSubstr("model_digest"));
  EXPECT_THAT(mistake([](Evaluation& e) { e.dataset_digest = ""; }), HasSubstr("dataset_digest"));
  EXPECT_THAT(mistake([](Evaluation& e) { e.template_digest = "x"; }), HasSubstr("template"));
  EXPECT_THAT(mistake([](Evaluation& e) { e.metrics.clear(); }), HasSubstr("metrics"));
  EXPECT_THAT(mistake([](Evaluation& e) { e.metrics["x"] = std::nan(""); }), HasSubstr("finite"));
  EXPECT_THAT(mistake([](Evaluation& e) { e.examples = 0; }), HasSubstr("at least 1 example"));
  EXPECT_THAT(mistake([](Evaluation& e) { e.task = "Chat!"; }), HasSubstr("task"));
}

}  // namespace
}  // namespace floe::registry
