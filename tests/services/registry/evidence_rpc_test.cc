// Evidence and gates over a real channel and a real Postgres.
#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/sha256.h"
#include "tests/services/registry/registry_fixture.h"

namespace floe::registry {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kGates[] = R"(gates:
  - {metric: answer_loss, dataset: held-out, better: lower}
)";

class EvidenceRpcTest : public RegistryTest {
 protected:
  EvidenceRpcTest() {
    for (int i = 1; i <= 3; ++i) versions_.push_back(*Publish("lexicon", absl::StrCat("w", i)));
    dataset_ = Upload("questions");
    v1::CreateDatasetRequest request;
    request.set_parent("teams/nlp");
    request.set_dataset_id("held-out");
    request.mutable_dataset()->set_digest(dataset_);
    request.mutable_dataset()->set_format("chat");
    EXPECT_TRUE(client_->CreateDataset(As("nlp"), request).ok());
  }

  static v1::Evaluation Scored(const std::string& model, const std::string& dataset, double loss) {
    v1::Evaluation evaluation;
    evaluation.set_model_digest(model);
    evaluation.set_tokenizer_digest(Sha256::Hex("tokenizer"));
    evaluation.set_template_digest(Sha256::Hex("template"));
    evaluation.set_dataset_digest(dataset);
    evaluation.set_task("chat");
    (*evaluation.mutable_metrics())["answer_loss"] = loss;
    evaluation.set_examples(10);
    evaluation.set_tokens(100);
    evaluation.set_job("teams/nlp/jobs/alignment-1");
    return evaluation;
  }
  absl::StatusOr<v1::Evaluation> Create(const v1::Evaluation& evaluation,
                                        const std::string& team = "nlp") {
    v1::CreateEvaluationRequest request;
    request.set_parent("teams/nlp");
    *request.mutable_evaluation() = evaluation;
    return client_->CreateEvaluation(As(team), request);
  }
  // Version `number` scores `loss` on the held-out questions.
  void Score(size_t number, double loss) {
    const auto kept = Create(Scored(versions_[number - 1].digest(), dataset_, loss));
    ASSERT_TRUE(kept.ok()) << kept.status();
  }
  absl::StatusOr<v1::GatePolicy> SetGates(const std::string& policy,
                                          const std::string& team = "nlp") {
    v1::SetGatePolicyRequest request;
    request.set_name("teams/nlp/models/lexicon/gatePolicy");
    request.set_policy(policy);
    v1::GatePolicy answer;
    const absl::Status status =
        Call(*registry_, &v1::RegistryService::Stub::SetGatePolicy, request, answer, team);
    if (!status.ok()) return status;
    return answer;
  }
  absl::StatusOr<v1::GatePolicy> GetGates() {
    v1::GetGatePolicyRequest request;
    request.set_name("teams/nlp/models/lexicon/gatePolicy");
    v1::GatePolicy answer;
    const absl::Status status =
        Call(*registry_, &v1::RegistryService::Stub::GetGatePolicy, request, answer);
    if (!status.ok()) return status;
    return answer;
  }
  absl::StatusOr<v1::ListEvaluationsResponse> List(v1::ListEvaluationsRequest request,
                                                   const std::string& team = "nlp") {
    request.set_parent(absl::StrCat("teams/", team));
    v1::ListEvaluationsResponse answer;
    const absl::Status status =
        Call(*registry_, &v1::RegistryService::Stub::ListEvaluations, request, answer, team);
    if (!status.ok()) return status;
    return answer;
  }
  absl::StatusOr<v1::Alias> Move(int64_t version, bool override_gates = false,
                                 const std::string& reason = "") {
    v1::SetAliasRequest request;
    request.set_name("teams/nlp/models/lexicon/aliases/production");
    request.set_version(absl::StrCat("teams/nlp/models/lexicon/versions/", version));
    request.set_override(override_gates);
    request.set_reason(reason);
    v1::Alias answer;
    const absl::Status status =
        Call(*registry_, &v1::RegistryService::Stub::SetAlias, request, answer);
    if (!status.ok()) return status;
    return answer;
  }

  std::vector<v1::ModelVersion> versions_;
  std::string dataset_;
};

TEST_F(EvidenceRpcTest, EvidenceIsKeptOnceUnderItsContent) {
  const auto first = Create(Scored(versions_[0].digest(), dataset_, 2.5));
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->model_version(), versions_[0].name());
  EXPECT_EQ(first->dataset(), "teams/nlp/datasets/held-out");
  EXPECT_EQ(first->creator(), "key-1");
  EXPECT_EQ(first->metrics().at("answer_loss"), 2.5);
  clock_.Advance(absl::Minutes(1));
  EXPECT_EQ(Create(Scored(versions_[0].digest(), dataset_, 2.5))->SerializeAsString(),
            first->SerializeAsString());
  v1::GetEvaluationRequest get;
  get.set_name(first->name());
  v1::Evaluation read;
  ASSERT_TRUE(Call(*registry_, &v1::RegistryService::Stub::GetEvaluation, get, read).ok());
  EXPECT_EQ(read.SerializeAsString(), first->SerializeAsString());
  EXPECT_EQ(Call(*registry_, &v1::RegistryService::Stub::GetEvaluation, get, read, "vision").code(),
            absl::StatusCode::kNotFound);
}

TEST_F(EvidenceRpcTest, AReportIsKeptIsPartOfTheNameAndStaysOutOfLists) {
  v1::Evaluation evaluation = Scored(versions_[0].digest(), dataset_, 2.5);
  const auto plain = Create(evaluation);
  evaluation.set_report(R"({"layers": 2})");
  const auto reported = Create(evaluation);
  ASSERT_TRUE(reported.ok()) << reported.status();
  EXPECT_EQ(reported->report(), R"({"layers": 2})");
  EXPECT_NE(reported->name(), plain->name());
  v1::GetEvaluationRequest get;
  get.set_name(reported->name());
  v1::Evaluation read;
  ASSERT_TRUE(Call(*registry_, &v1::RegistryService::Stub::GetEvaluation, get, read).ok());
  EXPECT_EQ(read.report(), R"({"layers": 2})");
  EXPECT_EQ(List({})->evaluations(0).report(), "");
  evaluation.set_report(std::string((1 << 20) + 1, ' '));
  EXPECT_EQ(Create(evaluation).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(EvidenceRpcTest, ListsTheNewestFirstInPagesAndByDigest) {
  Score(1, 3.0);
  Score(2, 2.0);
  Score(1, 2.9);
  const auto all = List({});
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_EQ(all->evaluations_size(), 3);
  EXPECT_EQ(all->evaluations(0).metrics().at("answer_loss"), 2.9);
  v1::ListEvaluationsRequest of_one;
  of_one.set_model_digest(versions_[0].digest());
  of_one.set_page_size(1);
  const auto page = List(of_one);
  ASSERT_EQ(page->evaluations_size(), 1);
  EXPECT_EQ(page->evaluations(0).metrics().at("answer_loss"), 2.9);
  of_one.set_page_token(page->next_page_token());
  const auto last = List(of_one);
  EXPECT_EQ(last->evaluations(0).metrics().at("answer_loss"), 3.0);
  EXPECT_EQ(last->next_page_token(), "");
  v1::ListEvaluationsRequest other;
  other.set_dataset_digest(Sha256::Hex("other"));
  EXPECT_EQ(List(other)->evaluations_size(), 0);
  EXPECT_EQ(List({}, "vision")->evaluations_size(), 0);
  other.set_dataset_digest("12");
  EXPECT_EQ(List(other).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(EvidenceRpcTest, BadEvidenceIsRefused) {
  auto bad = Scored(versions_[0].digest(), "nothing", 1);
  EXPECT_EQ(Create(bad).status().code(), absl::StatusCode::kInvalidArgument);
  bad = Scored(versions_[0].digest(), dataset_, 1);
  EXPECT_EQ(Create(bad, "vision").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(EvidenceRpcTest, GatesArePinnedToTheDatasetsDigest) {
  EXPECT_EQ(GetGates().status().code(), absl::StatusCode::kNotFound);
  const auto set = SetGates(kGates);
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(set->policy(), kGates);
  ASSERT_EQ(set->gates_size(), 1);
  EXPECT_EQ(set->gates(0).dataset_digest(), dataset_);
  EXPECT_EQ(set->gates(0).alias(), "production");
  EXPECT_EQ(GetGates()->SerializeAsString(), set->SerializeAsString());
  EXPECT_THAT(std::string(SetGates("gates: 7").status().message()), HasSubstr("line 1"));
  const auto unknown = SetGates("gates: [{metric: a, dataset: nothing, better: lower}]");
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(SetGates(kGates, "vision").status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(SetGates("").ok());
  EXPECT_EQ(GetGates().status().code(), absl::StatusCode::kNotFound);
}

TEST_F(EvidenceRpcTest, PromotionNeedsEvidenceThatBeatsTheIncumbent) {
  ASSERT_TRUE(Move(1).ok());  // no policy yet
  ASSERT_TRUE(SetGates(kGates).ok());
  const auto without = Move(2);
  EXPECT_EQ(without.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(without.status())->reason, "GATE_CLOSED");
  EXPECT_THAT(std::string(without.status().message()), HasSubstr("lexicon@2 has no answer_loss"));
  Score(1, 2.5);
  Score(2, 3.0);
  Score(3, 2.0);
  const auto worse = Move(2);
  EXPECT_EQ(worse.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(worse.status().message()),
              AllOf(HasSubstr("answer_loss on teams/nlp/datasets/held-out is 3 for lexicon@2"),
                    HasSubstr("2.5 for lexicon@1"), HasSubstr("worse by 0.5")));
  const auto better = Move(3);
  ASSERT_TRUE(better.ok()) << better.status();
  EXPECT_EQ(better->version(), versions_[2].name());
  EXPECT_FALSE(better->history(0).overridden());
  EXPECT_TRUE(Move(3).ok());  // where it is already: nothing to judge
}

TEST_F(EvidenceRpcTest, AnOverrideNeedsAReasonAndIsRemembered) {
  ASSERT_TRUE(Move(1).ok());
  ASSERT_TRUE(SetGates(kGates).ok());
  Score(1, 2.5);
  Score(2, 3.0);
  const auto silent = Move(2, true, "  ");
  EXPECT_EQ(silent.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReasonOf(silent.status())->reason, "OVERRIDE_NEEDS_REASON");
  const auto moved = Move(2, true, "the set was wrong");
  ASSERT_TRUE(moved.ok()) << moved.status();
  EXPECT_TRUE(moved->history(0).overridden());
  EXPECT_EQ(moved->history(0).reason(), "the set was wrong");
  EXPECT_THAT(moved->history(0).failures(), ElementsAre(HasSubstr("worse by 0.5")));
  EXPECT_FALSE(moved->history(1).overridden());
  // Back again, and forward only through the gates.
  ASSERT_TRUE(Move(1, true, "rollback").ok());
  EXPECT_FALSE(Move(1)->history(0).overridden());  // better than what it left
  EXPECT_EQ(Move(2).status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace floe::registry
