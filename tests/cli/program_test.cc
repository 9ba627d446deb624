// The whole program in process: words in, text, JSON and exit codes out, against a fake door.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/sha256.h"
#include "model/checkpoint.h"
#include "tests/cli/program_fixture.h"
#include "tests/model/samples.h"

namespace floe::cli {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST_F(ProgramTest, HelpTeachesByExampleEverywhere) {
  EXPECT_EQ(Run({"--help"}), 0);
  EXPECT_THAT(out_, HasSubstr("floe up"));
  EXPECT_THAT(out_, HasSubstr("Exit codes:"));
  EXPECT_THAT(out_, Not(HasSubstr("supervise")));
  for (const std::vector<std::string>& command : {std::vector<std::string>{"up"},
                                                  {"plan"},
                                                  {"data", "import"},
                                                  {"tokenizer", "train"},
                                                  {"train"},
                                                  {"jobs", "watch"},
                                                  {"models", "promote"},
                                                  {"models", "rollback"},
                                                  {"models", "gate", "set"},
                                                  {"eval", "run"},
                                                  {"chat"},
                                                  {"keys", "create"}}) {
    std::vector<std::string> words = command;
    words.push_back("--help");
    EXPECT_EQ(Run(words), 0);
    EXPECT_THAT(out_, HasSubstr("Examples:\n  floe ")) << command.front();
  }
}

TEST_F(ProgramTest, AMistakeInTheCommandLineIsUsage) {
  EXPECT_EQ(Run({}), 2);
  EXPECT_EQ(Run({"modles"}), 2);
  EXPECT_EQ(Run({"models", "show"}), 2);
  EXPECT_THAT(err_, HasSubstr("floe models show --help"));
  EXPECT_EQ(Run({"plan", "--hidden-size", "many"}), 2);
  EXPECT_EQ(Run({"models", "show", "--json"}), 2);
  EXPECT_EQ(json::parse(err_)["error"]["code"], "INVALID_ARGUMENT");
}

TEST_F(ProgramTest, PlanGivesPublishedTotals) {
  EXPECT_EQ(Run({"plan", "--preset", "gpt2", "--json"}), 0);
  EXPECT_EQ(json::parse(out_)["parameters"]["total"], 124439808);
  EXPECT_EQ(Run({"plan", "--preset", "llama-3-8b"}), 0);
  EXPECT_THAT(out_, HasSubstr("8,030,261,248"));
}

TEST_F(ProgramTest, PlanTakesDialsAndNamesTheOnesThatDoNotDivide) {
  const std::vector<std::string> dials = {
      "plan",      "--vocab-size", "4096",   "--num-layers", "4", "--num-heads", "4",
      "--context", "256",          "--json", "--hidden-size"};
  auto good = dials, bad = dials;
  good.push_back("256");
  EXPECT_EQ(Run(good), 0);
  EXPECT_EQ(json::parse(out_)["blueprint"]["head_dim"], 64);
  bad.push_back("250");
  EXPECT_EQ(Run(bad), 2);
  EXPECT_THAT(err_, HasSubstr("--hidden-size 250 does not divide by --num-heads 4"));
  EXPECT_EQ(Run({"plan", "--preset", "gpt5"}), 2);
  EXPECT_THAT(err_, HasSubstr("smollm2-135m"));
}

TEST_F(ProgramTest, ImportSendsTheBytesOnceInPieces) {
  std::string corpus;
  while (corpus.size() < (5u << 19)) absl::StrAppend(&corpus, "A sentence of the corpus.\n\n");
  dir_.Write("corpus.txt", corpus);
  EXPECT_EQ(Run({"data", "import", "corpus.txt", "--json"}), 0) << err_;
  const json dataset = json::parse(out_);
  EXPECT_EQ(dataset["name"], "teams/default/datasets/corpus");
  EXPECT_EQ(dataset["digest"], Sha256::Hex(corpus));
  EXPECT_EQ(fleet_.blob(dataset["digest"]), corpus);
  EXPECT_EQ(fleet_.calls().created_datasets[0].documents(),
            static_cast<int64_t>(corpus.size() / 27));
  EXPECT_EQ(fleet_.calls().largest_chunk, 1 << 20);

  EXPECT_EQ(Run({"data", "import", "corpus.txt", "--name", "again"}), 0);
  EXPECT_THAT(out_, HasSubstr("stored already"));
  EXPECT_EQ(fleet_.calls().uploads, 1);

  EXPECT_EQ(Run({"data", "ls"}), 0);
  EXPECT_THAT(out_, HasSubstr("again "));
  EXPECT_THAT(out_, HasSubstr("\ncorpus "));
}

TEST_F(ProgramTest, ABadCorpusIsRefusedBeforeItIsSent) {
  EXPECT_EQ(Run({"data", "import", "none.txt"}), 3);
  EXPECT_THAT(err_, HasSubstr("none.txt"));
  dir_.Write("empty.txt", "  \n\n");
  EXPECT_EQ(Run({"data", "import", "empty.txt"}), 2);
  EXPECT_THAT(err_, HasSubstr("empty.txt"));
  dir_.Write("latin.txt", "fine\n\ncaf\xe9\n");
  EXPECT_EQ(Run({"data", "import", "latin.txt"}), 2);
  EXPECT_THAT(err_, HasSubstr("line 3"));
  EXPECT_EQ(Run({"data", "import", "latin.txt", "--name", "Not An Id"}), 2);
  EXPECT_EQ(fleet_.calls().uploads, 0);
}

TEST_F(ProgramTest, TrainSubmitsToTheServiceThatOwnsTheKind) {
  dir_.Write("job.yaml", "model: lexicon\n");
  EXPECT_EQ(Run({"train", "job.yaml", "--json"}), 0) << err_;
  EXPECT_EQ(json::parse(out_)["state"], "queued");
  EXPECT_EQ(fleet_.calls().created_jobs[0].kind(), "pretrain");
  EXPECT_EQ(fleet_.calls().created_jobs[0].spec(), "model: lexicon\n");
  EXPECT_FALSE(fleet_.calls().created_jobs[0].request_id().empty());
  EXPECT_EQ(Run({"tokenizer", "train", "--name", "words", "--dataset", "corpus"}), 0);
  EXPECT_THAT(fleet_.calls().services, ElementsAre("trainer", "tokenizer"));
  EXPECT_EQ(json::parse(fleet_.calls().created_jobs[1].spec())["vocab_size"], 4096);

  EXPECT_EQ(Run({"train", "job.yaml", "--priority", "-10"}), 0) << err_;
  EXPECT_EQ(Run({"eval", "run", "lexicon", "--dataset", "corpus", "--priority", "5"}), 0) << err_;
  EXPECT_EQ(fleet_.calls().created_jobs[1].priority(), 0);
  EXPECT_EQ(fleet_.calls().created_jobs[2].priority(), -10);
  EXPECT_EQ(fleet_.calls().created_jobs[3].priority(), 5);
  EXPECT_EQ(Run({"train", "job.yaml", "--priority", "101"}), 2);
  EXPECT_THAT(err_, HasSubstr("--priority"));

  dir_.Write("bad.yaml", "model: lexicon\nbad: 1\n");
  EXPECT_EQ(Run({"train", "bad.yaml"}), 2);
  EXPECT_THAT(err_, HasSubstr("line 2: unknown key"));
  EXPECT_EQ(Run({"train", "missing.yaml"}), 3);
}

jobs::v1::JobEvent LossAt(int64_t sequence, double loss) {
  jobs::v1::JobEvent event;
  event.set_sequence(sequence);
  event.mutable_progress()->set_step(sequence);
  event.mutable_progress()->set_steps(4);
  (*event.mutable_progress()->mutable_metrics())["loss"] = loss;
  return event;
}

jobs::v1::Job EndedJob(jobs::v1::Job::State state) {
  jobs::v1::Job job;
  job.set_name("teams/default/jobs/trainer-01run");
  job.set_kind("pretrain");
  job.set_state(state);
  job.set_result("teams/default/models/lexicon/versions/1");
  return job;
}

TEST_F(ProgramTest, WatchGoesOnWhereTheStreamBrokeAndShowsEachEventOnce) {
  fleet_.PutJob(EndedJob(jobs::v1::Job::SUCCEEDED),
                {LossAt(1, 8), LossAt(2, 7), LossAt(3, 6), LossAt(4, 5)}, {2, 3});
  EXPECT_EQ(Run({"jobs", "watch", "trainer-01run", "--json"}), 0) << err_;
  std::istringstream lines(out_);
  std::vector<int64_t> sequences;
  for (std::string line; std::getline(lines, line);) {
    sequences.push_back(json::parse(line)["sequence"]);
  }
  EXPECT_THAT(sequences, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(fleet_.calls().watched_after, ElementsAre(0, 2, 3));
}

TEST_F(ProgramTest, AFailedJobHasItsOwnExitCode) {
  auto job = EndedJob(jobs::v1::Job::FAILED);
  job.set_error("the loss is NaN at step 3");
  fleet_.PutJob(job, {LossAt(1, 8)}, {});
  EXPECT_EQ(Run({"jobs", "watch", "trainer-01run"}), 6);
  EXPECT_THAT(err_, HasSubstr("the loss is NaN at step 3"));
  EXPECT_EQ(Run({"jobs", "watch", "trainer-01none"}), 3);
  EXPECT_EQ(Run({"jobs", "watch", "hamlet"}), 2);
  EXPECT_THAT(err_, HasSubstr("floe jobs ls"));
}

TEST_F(ProgramTest, JobsOfAQueueThatIsAwayAreSaidToBeMissing) {
  fleet_.PutJob(EndedJob(jobs::v1::Job::SUCCEEDED), {}, {});
  EXPECT_EQ(Run({"jobs", "ls"}), 0);
  EXPECT_THAT(out_, HasSubstr("trainer-01run  pretrain  succeeded"));
  EXPECT_THAT(err_, HasSubstr("the jobs of tokenizer are missing"));
  EXPECT_EQ(Run({"jobs", "ls", "--state", "running", "--json"}), 0);
  EXPECT_EQ(json::parse(out_).size(), 0u);
}

TEST_F(ProgramTest, ShowTellsDigestAndLineage) {
  fleet_.PutModel("lexicon", {{"config.json", "{}"}});
  EXPECT_EQ(Run({"models", "show", "lexicon"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("1,234,567"));
  EXPECT_THAT(out_, HasSubstr("teams/default/datasets/corpus  sha256:dddd"));
  EXPECT_THAT(out_, HasSubstr("teams/default/tokenizers/words"));
  EXPECT_THAT(out_, HasSubstr("teams/default/jobs/trainer-01made"));
  EXPECT_THAT(out_, HasSubstr("held_out_loss  4.25"));
  EXPECT_EQ(Run({"models", "show", "nothing"}), 3);
  EXPECT_THAT(err_, HasSubstr("no model 'nothing'"));
}

TEST_F(ProgramTest, PromoteMovesTheAlias) {
  fleet_.PutModel("lexicon", {});
  EXPECT_EQ(Run({"models", "promote", "lexicon@1", "--alias", "canary"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("lexicon@canary is now lexicon@1"));
}

TEST_F(ProgramTest, VerifyNamesTheDamagedFile) {
  fleet_.PutModel("lexicon", {{"config.json", "{}"}, {"model.safetensors", "weights"}});
  EXPECT_EQ(Run({"models", "verify", "lexicon"}), 0) << err_;
  fleet_.DamageBlob(Sha256::Hex("weights"));
  EXPECT_EQ(Run({"models", "verify", "lexicon"}), 7);
  EXPECT_THAT(err_, HasSubstr("damaged or missing: model.safetensors;"));
  EXPECT_EQ(Run({"models", "verify", "lexicon", "--json"}), 7);
  EXPECT_EQ(json::parse(out_)["files"][1]["ok"], true);
  EXPECT_EQ(json::parse(out_)["files"][2]["ok"], false);
}

TEST_F(ProgramTest, ExportWritesTheFolderOrNothing) {
  fleet_.PutModel("lexicon", {{"config.json", "{}"}, {"model.safetensors", "some weights"}});
  EXPECT_EQ(Run({"models", "export", "lexicon", "out", "--format", "floe"}), 0) << err_;
  EXPECT_EQ(*ReadFile(dir_ / "out/model.safetensors"), "some weights");
  EXPECT_EQ(*ReadFile(dir_ / "out/floe.json"), "{\"of\":\"lexicon\"}");
  EXPECT_EQ(Run({"models", "export", "lexicon", "out", "--format", "floe"}), 1);
  EXPECT_THAT(err_, HasSubstr("exists already"));

  fleet_.DamageBlob(Sha256::Hex("some weights"));
  EXPECT_EQ(Run({"models", "export", "lexicon", "other", "--format", "floe"}), 7);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "other"));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "other.unfinished"));
}

TEST_F(ProgramTest, AManifestCannotWriteOutsideTheFolder) {
  fleet_.PutModel("evil", {{"../evil.txt", "x"}});
  EXPECT_EQ(Run({"models", "export", "evil", "out", "--format", "floe"}), 7);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "evil.txt"));
}

// transformers would load the folder, with random numbers for what it misses in it.
TEST_F(ProgramTest, WhatOthersWouldMisreadIsExportedForAnotherFleetOnly) {
  model::Manifest manifest;
  manifest.blueprint = model::SmallBlueprint(model::Family::kQwen3);
  manifest.blueprint.ffn = model::FfnKind::kPlain;
  fleet_.PutModel("plain", {{"model.safetensors", "weights"}}, manifest.Serialize());
  EXPECT_EQ(Run({"models", "export", "plain", "out"}), 1);
  EXPECT_THAT(err_, AllOf(HasSubstr("plain@1"), HasSubstr("qwen3 with a plain FFN"),
                          HasSubstr("--format floe")));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "out"));
  EXPECT_EQ(Run({"models", "export", "plain", "out", "--format", "floe"}), 0) << err_;
  EXPECT_EQ(*ReadFile(dir_ / "out/floe.json"), manifest.Serialize());

  manifest.blueprint.ffn = model::FfnKind::kGated;
  fleet_.PutModel("gated", {{"model.safetensors", "weights"}}, manifest.Serialize());
  EXPECT_EQ(Run({"models", "export", "gated", "gated"}), 0) << err_;
}

TEST_F(ProgramTest, KeysAreShownOnceAndRolesAreChecked) {
  EXPECT_EQ(Run({"keys", "create", "--name", "shop", "--json"}), 0) << err_;
  EXPECT_EQ(json::parse(out_)["secret"], "floe-secret");
  EXPECT_EQ(json::parse(out_)["role"], "consumer");
  EXPECT_EQ(Run({"keys", "create", "--name", "shop", "--role", "admin"}), 4);
  EXPECT_EQ(Run({"keys", "create", "--name", "shop", "--role", "king"}), 2);
}

TEST_F(ProgramTest, AKeysLimitsAreAskedForAndShown) {
  EXPECT_EQ(Run({"keys", "create", "--name", "trial", "--expires", "2027-01-01T00:00:00Z",
                 "--models", "hamlet,ham*", "--tiers", "flex,default", "--tenant", "acme"}),
            0)
      << err_;
  EXPECT_THAT(out_, HasSubstr("hamlet,ham*"));
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"keys", "show", "01key"}, {"keys", "ls"}}) {
    std::vector<std::string> as_json = command;
    as_json.push_back("--json");
    EXPECT_EQ(Run(as_json), 0) << err_;
    json key = json::parse(out_);
    if (key.is_array()) key = key.at(0);
    EXPECT_EQ(key["expire_time"], "2027-01-01T00:00:00+00:00");
    EXPECT_EQ(key["models"], json({"hamlet", "ham*"}));
    EXPECT_EQ(key["tiers"], json({"flex", "default"}));
    EXPECT_EQ(key["tenant"], "acme");
    EXPECT_EQ(Run(command), 0) << err_;
    EXPECT_THAT(out_, AllOf(HasSubstr("hamlet,ham*"), HasSubstr("flex,default")));
  }
  EXPECT_EQ(Run({"keys", "show", "other"}), 3);
}

TEST_F(ProgramTest, AnExpiryIsATimeOrHowLong) {
  const absl::Time before = absl::Now();
  EXPECT_EQ(Run({"keys", "create", "--name", "trial", "--expires", "30d", "--json"}), 0) << err_;
  absl::Time expires;
  ASSERT_TRUE(absl::ParseTime(
      absl::RFC3339_full, json::parse(out_)["expire_time"].get<std::string>(), &expires, nullptr));
  EXPECT_GE(expires, before + absl::Hours(30 * 24) - absl::Microseconds(1));
  EXPECT_LE(expires, absl::Now() + absl::Hours(30 * 24));
  for (const char* wrong : {"soon", "0d", "-3d", "9999999999999999d", "30x", "inf"}) {
    EXPECT_EQ(Run({"keys", "create", "--name", "trial", "--expires", wrong}), 2) << wrong;
    EXPECT_THAT(err_, HasSubstr("30d")) << wrong;
  }
  EXPECT_EQ(Run({"keys", "create", "--name", "for ever", "--json"}), 0) << err_;
  EXPECT_TRUE(json::parse(out_)["expire_time"].is_null());
}

TEST_F(ProgramTest, AWrongKeyAndADeadDoorHaveTheirExitCodes) {
  variables_["FLOE_KEY"] = "floe-wrong";
  EXPECT_EQ(Run({"data", "ls"}), 4);
  variables_["FLOE_KEY"] = test::kFakeKey;
  variables_["FLOE_DOOR"] = "127.0.0.1:1";
  EXPECT_EQ(Run({"data", "ls"}), 5);
  EXPECT_THAT(err_, HasSubstr("floe up"));
  variables_.clear();
  EXPECT_EQ(Run({"data", "ls", "--json"}), 3);
  EXPECT_EQ(json::parse(err_)["error"]["code"], "NOT_FOUND");
}

TEST_F(ProgramTest, CompletionKnowsEveryCommand) {
  for (const char* shell : {"bash", "zsh"}) {
    EXPECT_EQ(Run({"completion", shell}), 0);
    EXPECT_THAT(
        out_,
        HasSubstr(
            "'models') echo 'ls show promote rollback gate verify export import quantize inspect"));
    EXPECT_THAT(out_, HasSubstr("'jobs watch') echo"));
    EXPECT_THAT(out_, HasSubstr("--alias"));
    EXPECT_THAT(out_, Not(HasSubstr("supervise")));
  }
  EXPECT_EQ(Run({"completion", "fish"}), 2);
}

}  // namespace
}  // namespace floe::cli
