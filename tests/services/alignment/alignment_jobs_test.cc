// Alignment and evaluation from end to end: jobs submitted to floe-alignment, executed by
// floe-runner, scored by floe-inference, kept by floe-registry.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

#include "services/runtime/status.h"
#include "tests/services/alignment/alignment_fleet.h"
#include "tests/services/jobs/job_service.h"

namespace floe::alignment {
namespace {

using jobs::v1::Job;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

std::string ChatLines(int from, int count) {
  std::string lines;
  for (int i = from; i < from + count; ++i) {
    absl::StrAppend(&lines, R"({"messages": [{"role": "user", "content": "n)", i,
                    R"("}, {"role": "assistant", "content": "m)", i % 3, "\"}]}\n");
  }
  return lines;
}

std::string PairLines(int from, int count) {
  std::string lines;
  for (int i = from; i < from + count; ++i) {
    absl::StrAppend(&lines, R"({"prompt": "q)", i % 5, R"(", "chosen": "a)", i,
                    R"(", "rejected": "not b"})", "\n");
  }
  return lines;
}

constexpr char kSft[] = R"(kind: sft
model: aligned
base: tiny@1
dataset: chats
held_out: chats-held-out
train: {steps: 40, batch_size: 4, learning_rate: 0.003, eval_interval: 20, checkpoint_interval: 20}
)";

constexpr char kDpo[] = R"(kind: dpo
model: aligned
base: aligned@latest
dataset: pairs
held_out: pairs-held-out
train: {steps: 20, batch_size: 4, learning_rate: 0.001, eval_interval: 10}
)";

class AlignmentJobsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    fleet_ = new AlignmentFleet();
    fleet_->StartAlignmentRunner();
    fleet_->Import("chats", "chat", ChatLines(0, 40));
    fleet_->Import("chats-held-out", "chat", ChatLines(40, 10));
    fleet_->Import("pairs", "preference", PairLines(0, 24));
    fleet_->Import("pairs-held-out", "preference", PairLines(24, 8));
    fleet_->Import("questions", "choices",
                   R"({"prompt": "q1", "choices": ["a1", "not b", "c"], "answer": 0})");
    fleet_->Import("broken", "preference", PairLines(0, 1) + R"({"prompt": "q", "chosen": "a"})");
  }
  static void TearDownTestSuite() {
    delete fleet_;
    fleet_ = nullptr;
  }

  // The job at its end; its words are in `words_`.
  Job Run(const std::string& kind, const std::string& spec) {
    const auto job = person_.Create(spec, "", kind);
    EXPECT_TRUE(job.ok()) << job.status();
    return job.ok() ? Finish(job->name()) : Job();
  }
  Job Finish(const std::string& name) {
    const auto watched = person_.Watch(name, 0);
    EXPECT_TRUE(watched.status.ok()) << watched.status;
    words_ = jobs::Words(watched.events);
    return person_.Get(name).value_or(Job{});
  }
  std::string Refusal(const std::string& kind, const std::string& spec, absl::StatusCode code) {
    const auto job = person_.Create(spec, "", kind);
    EXPECT_EQ(job.status().code(), code) << spec << job.status();
    return std::string(job.status().message());
  }
  registry::v1::ModelVersion Version(const std::string& name) {
    return registry_.GetModelVersion(trainer::As("nlp"), name)
        .value_or(registry::v1::ModelVersion());
  }
  std::vector<registry::v1::Evaluation> Evidence() {
    grpc::ClientContext context;
    runtime::PrepareCall(context, trainer::As("nlp"));
    registry::v1::ListEvaluationsRequest request;
    request.set_parent("teams/nlp");
    registry::v1::ListEvaluationsResponse answer;
    const auto status =
        runtime::FromGrpcStatus(registry::v1::RegistryService::NewStub(fleet_->registry())
                                    ->ListEvaluations(&context, request, &answer));
    EXPECT_TRUE(status.ok()) << status;
    return {answer.evaluations().begin(), answer.evaluations().end()};
  }

  static AlignmentFleet* fleet_;  // of the test suite
  registry::RegistryClient registry_{fleet_->registry()};
  jobs::JobCaller person_{fleet_->alignment(), "nlp"};
  std::vector<std::string> words_;
};

AlignmentFleet* AlignmentJobsTest::fleet_ = nullptr;

TEST_F(AlignmentJobsTest, FromABaseOverSftAndDpoToEvidence) {
  const Job sft = Run("sft", kSft);
  ASSERT_EQ(sft.state(), Job::SUCCEEDED) << sft.error();
  EXPECT_THAT(sft.name(), testing::StartsWith("teams/nlp/jobs/alignment-"));
  EXPECT_THAT(sft.spec(), HasSubstr("tiny/versions/1@sha256:" + fleet_->base().digest()));
  EXPECT_THAT(words_, Contains(HasSubstr("before: n40 -> ")));
  EXPECT_THAT(words_, Contains(HasSubstr("step 20: n40 -> ")));
  EXPECT_THAT(words_, Contains(HasSubstr("after: n40 -> m")));
  const auto tuned = Version(sft.result());
  EXPECT_EQ(tuned.lineage().parent_digest(), fleet_->base().digest());
  EXPECT_EQ(tuned.lineage().job(), sft.name());
  EXPECT_LT(tuned.metrics().at("held_out_loss"), 4);

  const Job dpo = Run("dpo", kDpo);
  ASSERT_EQ(dpo.state(), Job::SUCCEEDED) << dpo.error();
  EXPECT_THAT(words_, Contains("reference log-probabilities of 32 pairs computed"));
  for (const char* metric : {"rewards/chosen", "rewards/margins", "rewards/accuracies",
                             "held_out_loss", "held_out_rewards/margins"}) {
    EXPECT_TRUE(dpo.progress().metrics().contains(metric)) << metric;
  }
  const auto preferring = Version(dpo.result());
  EXPECT_EQ(preferring.lineage().parent_digest(), tuned.digest());
  EXPECT_LT(preferring.metrics().at("held_out_loss"), 0.6931);

  // The frozen engine agrees with training, and says the same at any batch size.
  const std::string models =
      absl::StrCat("models: [tiny@1, ", tuned.name(), ", ", preferring.name(), "]\n");
  const std::string datasets =
      "datasets: [chats-held-out, pairs-held-out, questions, numbers]\nbatch_size: ";
  const Job one = Run("evaluate", models + datasets + "1");
  ASSERT_EQ(one.state(), Job::SUCCEEDED) << one.error();
  EXPECT_THAT(words_, Contains(HasSubstr("on chats-held-out: answer_loss ")));
  const auto evidence = Evidence();
  ASSERT_EQ(evidence.size(), 12u);
  const Job many = Run("evaluate", models + datasets + "64");
  ASSERT_EQ(many.state(), Job::SUCCEEDED) << many.error();
  EXPECT_EQ(Evidence().size(), 12u);  // named by content: not one number differs
  for (const auto& one_of_them : evidence) {
    if (one_of_them.model_digest() != tuned.digest() || one_of_them.task() != "chat") continue;
    EXPECT_NEAR(one_of_them.metrics().at("answer_loss"), tuned.metrics().at("held_out_loss"), 1e-3);
    EXPECT_EQ(one_of_them.model_version(), tuned.name());
    EXPECT_EQ(one_of_them.dataset(), "teams/nlp/datasets/chats-held-out");
    EXPECT_EQ(one_of_them.job(), one.name());
    EXPECT_EQ(one_of_them.template_digest().size(), 64u);
  }
}

TEST_F(AlignmentJobsTest, AKilledRunnersJobEndsInTheSameBytes) {
  const std::string spec = absl::StrReplaceAll(
      kSft, {{"steps: 40", "steps: 600"}, {"checkpoint_interval: 20", "checkpoint_interval: 50"}});
  const auto killed = person_.Create(spec, "", "sft");
  ASSERT_TRUE(killed.ok()) << killed.status();
  person_.Watch(killed->name(), 0, [](const jobs::v1::JobEvent& event) {
    return absl::StrContains(jobs::Words(event), "state saved at step");
  });
  fleet_->KillRunner();
  fleet_->StartAlignmentRunner();
  const Job resumed = Finish(killed->name());
  ASSERT_EQ(resumed.state(), Job::SUCCEEDED) << resumed.error();
  EXPECT_EQ(resumed.attempt(), 2);
  EXPECT_THAT(words_, Contains(HasSubstr("resumed at step ")));
  const Job straight = Run("sft", spec);
  ASSERT_EQ(straight.state(), Job::SUCCEEDED) << straight.error();
  EXPECT_EQ(straight.attempt(), 1);
  EXPECT_EQ(resumed.result(), straight.result());  // the same content is one version
}

TEST_F(AlignmentJobsTest, ACancelledJobStops) {
  const auto job =
      person_.Create(absl::StrReplaceAll(kSft, {{"steps: 40", "steps: 1000000"}}), "", "sft");
  ASSERT_TRUE(job.ok()) << job.status();
  person_.Watch(job->name(), 0,
                [](const jobs::v1::JobEvent& event) { return event.progress().step() > 0; });
  ASSERT_TRUE(person_.Cancel(job->name()).ok());
  EXPECT_EQ(Finish(job->name()).state(), Job::CANCELLED);
}

TEST_F(AlignmentJobsTest, AMissingFieldFailsOnceAndNamesTheLine) {
  const Job job = Run("dpo", absl::StrReplaceAll(kDpo, {{"aligned@latest", "tiny@1"},
                                                        {"dataset: pairs", "dataset: broken"}}));
  EXPECT_EQ(job.state(), Job::FAILED);
  EXPECT_EQ(job.attempt(), 1);
  EXPECT_THAT(job.error(), HasSubstr("dataset, line 2: \"rejected\" is missing"));
}

TEST_F(AlignmentJobsTest, ATextThatIsTooLongFailsOnceOrIsSkipped) {
  fleet_->Import(
      "long", "chat",
      ChatLines(0, 8) + absl::StrReplaceAll(ChatLines(9, 1), {{"n9", std::string(300, 'x')}}));
  const std::string spec = absl::StrReplaceAll(
      kSft, {{"dataset: chats\n", "dataset: long\n"}, {"steps: 40", "steps: 4"}});
  const Job refused = Run("sft", spec);
  EXPECT_EQ(refused.state(), Job::FAILED);
  EXPECT_THAT(refused.error(), HasSubstr("dataset, line 9: the text has"));
  const Job skipped = Run("sft", spec + "too_long: skip\n");
  EXPECT_EQ(skipped.state(), Job::SUCCEEDED) << skipped.error();
  EXPECT_THAT(words_, Contains(HasSubstr("dataset: 1 examples of more than 64 tokens")));
}

TEST_F(AlignmentJobsTest, MistakesAreNamedBeforeAnythingIsQueued) {
  const auto sft = [](const std::string& from, const std::string& to) {
    return absl::StrReplaceAll(kSft, {{from, to}});
  };
  const auto invalid = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(Refusal("sft", sft("base: tiny@1", "base: tiny@9"), absl::StatusCode::kNotFound),
              HasSubstr("base: there is no model version tiny@9"));
  EXPECT_THAT(
      Refusal("sft", sft("dataset: chats\n", "dataset: none\n"), absl::StatusCode::kNotFound),
      HasSubstr("teams/nlp/datasets/none"));
  EXPECT_THAT(Refusal("sft", sft("dataset: chats\n", "dataset: pairs\n"),
                      absl::StatusCode::kFailedPrecondition),
              AllOf(HasSubstr("format \"preference\""), HasSubstr("learns from chat")));
  EXPECT_THAT(Refusal("sft", sft("held_out: chats-held-out", "held_out: chats"), invalid),
              HasSubstr("same bytes"));
  EXPECT_THAT(Refusal("sft", sft("train:", "sequence_length: 65\ntrain:"), invalid),
              HasSubstr("more than the context 64"));
  EXPECT_THAT(Refusal("dpo",
                      absl::StrReplaceAll(kDpo, {{"aligned@latest", "tiny@1"},
                                                 {"batch_size: 4", "batch_size: 65536"}}),
                      invalid),
              AllOf(HasSubstr("the job needs about"), HasSubstr("have 4.0 GiB"),
                    HasSubstr("lower batch_size")));
  EXPECT_THAT(
      Refusal("sft", sft("base: tiny@1", "base: teams/vision/models/tiny/versions/1"), invalid),
      HasSubstr("of that team"));
  // All of them at once.
  EXPECT_THAT(Refusal("sft",
                      absl::StrReplaceAll(kSft, {{"base: tiny@1", "base: tiny@9"},
                                                 {"dataset: chats\n", "dataset: none\n"},
                                                 {"held_out: chats-held-out", "held_out: pairs"}}),
                      invalid),
              AllOf(HasSubstr("base: there is no model version tiny@9"),
                    HasSubstr("teams/nlp/datasets/none"), HasSubstr("held_out: "),
                    HasSubstr("format \"preference\"")));
  EXPECT_THAT(
      Refusal("evaluate", "models: [tiny@1, tiny@9]\ndatasets: [none, nothing]\n",
              absl::StatusCode::kNotFound),
      AllOf(HasSubstr("tiny@9"), HasSubstr("datasets/none"), HasSubstr("datasets/nothing")));
  EXPECT_THAT(
      Refusal("sft",
              absl::StrReplaceAll(kSft, {{"dataset: chats\n", "dataset: none\n"},
                                         {"train:", "colour: red\nsequence_length: 65\ntrain:"}}),
              invalid),
      AllOf(HasSubstr("unknown key \"colour\""), HasSubstr("teams/nlp/datasets/none"),
            HasSubstr("more than the context 64")));
  EXPECT_THAT(Refusal("pretrain", kSft, invalid), HasSubstr("pretrain"));
  EXPECT_THAT(
      Refusal("evaluate", "models: [tiny@1]\ndatasets: [none]\n", absl::StatusCode::kNotFound),
      HasSubstr("datasets: there is no"));
  EXPECT_THAT(
      Refusal("inspect", "model: tiny@1\ndataset: chats\n", absl::StatusCode::kFailedPrecondition),
      HasSubstr("inspected on plain text"));
}

}  // namespace
}  // namespace floe::alignment
