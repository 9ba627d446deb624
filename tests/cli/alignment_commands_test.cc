// Aligning, evaluating and promoting from the command line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/program_fixture.h"

namespace floe::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

class AlignmentCommandsTest : public ProgramTest {};

TEST_F(AlignmentCommandsTest, TrainSubmitsTheKindThatTheFileSays) {
  dir_.Write("sft.yaml", "kind: sft\nmodel: lexicon\n");
  EXPECT_EQ(Run({"train", "sft.yaml"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("job alignment-01new is queued"));
  dir_.Write("base.yaml", "model: lexicon\n");
  EXPECT_EQ(Run({"train", "base.yaml"}), 0) << err_;
  EXPECT_EQ(Run({"train", "base.yaml", "--kind", "dpo"}), 0) << err_;
  const auto calls = fleet_.calls();
  ASSERT_EQ(calls.created_jobs.size(), 3u);
  EXPECT_EQ(calls.created_jobs[0].kind(), "sft");
  EXPECT_EQ(calls.created_jobs[0].spec(), "kind: sft\nmodel: lexicon\n");  // as it was written
  EXPECT_EQ(calls.created_jobs[1].kind(), "pretrain");
  EXPECT_EQ(calls.created_jobs[2].kind(), "dpo");
  EXPECT_EQ(calls.services[2], "alignment");
}

TEST_F(AlignmentCommandsTest, TrainSetsKeysOfTheFile) {
  dir_.Write("sft.yaml", "kind: sft\nmodel: lexicon\nbase: lexicon@production\n");
  EXPECT_EQ(Run({"train", "--set", "base=lexicon@7", "--set", "samples=3", "sft.yaml"}), 0) << err_;
  const std::string spec = fleet_.calls().created_jobs[0].spec();
  EXPECT_THAT(spec, HasSubstr("base: lexicon@7"));
  EXPECT_THAT(spec, HasSubstr("samples: 3"));
  EXPECT_THAT(spec, HasSubstr("model: lexicon"));
  EXPECT_EQ(Run({"train", "sft.yaml", "--set", "base"}), 2);
  EXPECT_THAT(err_, HasSubstr("KEY=VALUE"));
}

TEST_F(AlignmentCommandsTest, AFileThatSaysNothingUsefulIsRefusedHere) {
  dir_.Write("odd.yaml", "kind: rlhf\n");
  EXPECT_EQ(Run({"train", "odd.yaml"}), 2);
  EXPECT_THAT(err_, HasSubstr("known are pretrain, sft, dpo, evaluate"));
  dir_.Write("broken.yaml", "a: [1\n");
  EXPECT_EQ(Run({"train", "broken.yaml"}), 2);
  EXPECT_THAT(err_, HasSubstr("broken.yaml: line "));
}

TEST_F(AlignmentCommandsTest, ImportChecksPreferencesAndNamesTheLine) {
  dir_.Write("pairs.jsonl",
             "{\"prompt\": \"q\", \"chosen\": \"a\", \"rejected\": \"b\"}\n"
             "{\"prompt\": \"q\", \"chosen\": \"a\"}\n");
  EXPECT_EQ(Run({"data", "import", "pairs.jsonl", "--format", "preference"}), 2);
  EXPECT_THAT(err_, HasSubstr("pairs.jsonl: line 2: \"rejected\" is missing"));
  EXPECT_EQ(fleet_.calls().uploads, 0);
  dir_.Write("pairs.jsonl", "{\"prompt\": \"q\", \"chosen\": \"a\", \"rejected\": \"b\"}\n");
  EXPECT_EQ(Run({"data", "import", "pairs.jsonl", "--format", "preference"}), 0) << err_;
  EXPECT_EQ(fleet_.calls().created_datasets[0].format(), "preference");
  EXPECT_EQ(fleet_.calls().created_datasets[0].documents(), 1);
}

TEST_F(AlignmentCommandsTest, PromotionIsRefusedUnlessItIsOverridden) {
  const std::string nine = "teams/default/models/lexicon/versions/9";
  EXPECT_EQ(Run({"models", "promote", nine}), 1);
  EXPECT_THAT(err_, HasSubstr("its gates refuse: answer_loss is 4"));
  EXPECT_EQ(Run({"models", "promote", nine, "--override", "--reason", "a wrong set"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("lexicon@production is now lexicon@9"));
  EXPECT_THAT(out_, HasSubstr("though answer_loss is 4"));
  EXPECT_TRUE(fleet_.calls().set_aliases.back().override());
  EXPECT_EQ(fleet_.calls().set_aliases.back().reason(), "a wrong set");
}

TEST_F(AlignmentCommandsTest, RollbackGoesToWhereTheAliasWasBefore) {
  const std::string model = "teams/default/models/lexicon";
  EXPECT_EQ(Run({"models", "rollback", "lexicon"}), 3);
  EXPECT_EQ(Run({"models", "promote", model + "/versions/1"}), 0) << err_;
  EXPECT_EQ(Run({"models", "rollback", "lexicon"}), 1);
  EXPECT_THAT(err_, HasSubstr("has only ever pointed at lexicon@1"));
  EXPECT_EQ(Run({"models", "promote", model + "/versions/2"}), 0) << err_;
  EXPECT_EQ(Run({"models", "rollback", "lexicon", "--reason", "bad answers"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("lexicon@production is now lexicon@1"));
  const auto request = fleet_.calls().set_aliases.back();
  EXPECT_EQ(request.etag(), "move-2");
  EXPECT_TRUE(request.override());
  EXPECT_EQ(request.reason(), "rollback from lexicon@2 to lexicon@1: bad answers");
  EXPECT_EQ(Run({"models", "promote", model + "/versions/2"}), 0) << err_;
  EXPECT_EQ(Run({"models", "rollback", "lexicon", "--to", "7"}), 0) << err_;
  EXPECT_EQ(fleet_.calls().set_aliases.back().version(), model + "/versions/7");
}

TEST_F(AlignmentCommandsTest, GatesAreSetShownAndRemoved) {
  dir_.Write("gates.yaml", "gates: []\n");
  EXPECT_EQ(Run({"models", "gate", "set", "lexicon", "gates.yaml"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("answer_loss"));
  EXPECT_THAT(out_, HasSubstr("<= 4"));
  EXPECT_EQ(Run({"models", "gate", "set", "lexicon", "gates.yaml", "--json"}), 0) << err_;
  EXPECT_EQ(json::parse(out_)["gates"][0]["better"], "lower");
  EXPECT_EQ(Run({"models", "gate", "set", "lexicon", "--remove"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("holds no gate"));
  EXPECT_EQ(Run({"models", "gate", "set", "lexicon"}), 2);
}

TEST_F(AlignmentCommandsTest, EvaluationsAreRunListedAndShown) {
  EXPECT_EQ(Run({"eval", "run", "lexicon@3", "lexicon@latest", "--dataset", "questions",
                 "--dataset", "choices"}),
            0)
      << err_;
  const auto created = fleet_.calls().created_jobs.back();
  EXPECT_EQ(created.kind(), "evaluate");
  EXPECT_EQ(json::parse(created.spec())["models"], json({"lexicon@3", "lexicon@latest"}));
  EXPECT_EQ(json::parse(created.spec())["datasets"], json({"questions", "choices"}));
  EXPECT_EQ(Run({"eval", "ls"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("ev-1"));
  EXPECT_THAT(out_, HasSubstr("lexicon@3"));
  EXPECT_THAT(out_, HasSubstr("answer_loss 2.5000"));
  EXPECT_EQ(Run({"eval", "ls", "--json"}), 0) << err_;
  EXPECT_EQ(json::parse(out_)[0]["metrics"]["answer_loss"], 2.5);
  EXPECT_EQ(Run({"eval", "show", "ev-1"}), 0) << err_;
  EXPECT_THAT(out_, StartsWith("evaluation"));
  EXPECT_THAT(out_, HasSubstr("preference_accuracy  0.75"));
  EXPECT_EQ(Run({"eval", "show", "ev-2"}), 3);
}

}  // namespace
}  // namespace floe::cli
