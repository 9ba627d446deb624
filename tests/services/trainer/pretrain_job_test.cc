// Pre-training from end to end: a job submitted to floe-trainer, executed by floe-runner, published
// in floe-registry.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

#include "base/files.h"
#include "model/checkpoint.h"
#include "services/registry/client/checkpoint_transfer.h"
#include "tests/services/jobs/job_service.h"
#include "tests/services/trainer/training_fleet.h"
#include "tests/support/temp_dir.h"

namespace floe::trainer {
namespace {

using jobs::v1::Job;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

constexpr char kKind[] = "pretrain";
constexpr char kSpec[] = R"(model: counter
dataset: numbers
tokenizer: sample
blueprint:
  hidden_size: 32
  num_layers: 2
  num_heads: 2
  num_kv_heads: 1
  ffn_hidden: 64
  context: 32
train:
  steps: 60
  batch_size: 4
  learning_rate: 0.01
  warmup_steps: 5
  held_out_fraction: 0.1
  eval_interval: 20
  checkpoint_interval: 20
  sample_prompt: "The number "
)";

std::string With(const std::string& from, const std::string& to) {
  return absl::StrReplaceAll(kSpec, {{from, to}});
}

class PretrainJobTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    fleet_ = new TrainingFleet();
    fleet_->StartRunner();
  }
  static void TearDownTestSuite() {
    delete fleet_;
    fleet_ = nullptr;
  }

  Job Submit(const std::string& spec) {
    const auto job = person_.Create(spec, "", kKind);
    EXPECT_TRUE(job.ok()) << job.status();
    return job.value_or(Job{});
  }
  // Watches the job to its end; its words are in `words_`.
  Job Finish(const Job& job) {
    const auto watched = person_.Watch(job.name(), 0);
    EXPECT_TRUE(watched.status.ok()) << watched.status;
    events_ = watched.events;
    words_ = jobs::Words(events_);
    return person_.Get(job.name()).value_or(Job{});
  }
  std::string DigestOf(const Job& job) {
    const auto version = registry_.GetModelVersion(As("nlp"), job.result());
    EXPECT_TRUE(version.ok()) << version.status();
    return version.ok() ? version->digest() : "";
  }

  static TrainingFleet* fleet_;  // of the test suite
  registry::RegistryClient registry_{fleet_->registry()};
  jobs::JobCaller person_{fleet_->trainer(), "nlp"};
  std::vector<jobs::v1::JobEvent> events_;
  std::vector<std::string> words_;
};

TrainingFleet* PretrainJobTest::fleet_ = nullptr;

TEST_F(PretrainJobTest, FromADatasetToAModelVersion) {
  const Job job = Finish(Submit(kSpec));
  ASSERT_EQ(job.state(), Job::SUCCEEDED) << job.error();
  EXPECT_THAT(job.name(), testing::StartsWith("teams/nlp/jobs/trainer-"));
  EXPECT_THAT(job.spec(), HasSubstr(absl::StrCat("teams/nlp/datasets/numbers@sha256:",
                                                 fleet_->dataset_digest())));
  EXPECT_THAT(words_, Contains(HasSubstr("before: The number")));
  EXPECT_THAT(words_, Contains(HasSubstr("step 20: The number")));  // with each held-out loss
  EXPECT_THAT(words_, Contains(HasSubstr("after: The number")));
  EXPECT_THAT(words_, Contains("state saved at step 40"));
  EXPECT_EQ(job.progress().step(), 60);
  EXPECT_EQ(job.progress().steps(), 60);
  EXPECT_THAT(job.progress().device(), testing::StartsWith("cpu: "));
  for (const char* metric :
       {"loss", "held_out_loss", "tokens_per_second", "gflops", "learning_rate"}) {
    EXPECT_TRUE(job.progress().metrics().contains(metric)) << metric;
  }
  double first_loss = 0;
  for (const auto& event : events_) {
    const auto& metrics = event.progress().metrics();
    if (first_loss == 0 && metrics.contains("loss")) first_loss = metrics.at("loss");
  }
  EXPECT_NEAR(first_loss, std::log(403.0), 0.2);

  const auto version = registry_.GetModelVersion(As("nlp"), job.result());
  ASSERT_TRUE(version.ok()) << version.status();
  EXPECT_THAT(version->name(), testing::StartsWith("teams/nlp/models/counter/versions/"));
  EXPECT_EQ(version->lineage().job(), job.name());
  EXPECT_EQ(version->lineage().dataset_digest(), fleet_->dataset_digest());
  EXPECT_EQ(version->lineage().tokenizer_digest(), fleet_->tokenizer_digest());
  EXPECT_EQ(version->metrics().at("steps"), 60);
  EXPECT_EQ(version->metrics().at("tokens"), 60 * 4 * 32);
  EXPECT_LT(version->metrics().at("held_out_loss"), first_loss - 1);

  const test::TempDir folder;
  ASSERT_TRUE(
      registry::DownloadCheckpoint(registry_, As("nlp"), *version, folder / "checkpoint").ok());
  const auto checkpoint = model::Checkpoint::Open(folder / "checkpoint");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(checkpoint->blueprint().vocab_size, 403);
  EXPECT_EQ(checkpoint->manifest().files.at("tokenizer.json").digest, fleet_->tokenizer_digest());
  EXPECT_TRUE(std::filesystem::exists(folder / "checkpoint/tokenizer_config.json"));
}

TEST_F(PretrainJobTest, AKilledRunnersJobGoesOnFromItsStateAndEndsInTheSameBytes) {
  const std::string spec = absl::StrReplaceAll(
      kSpec,
      {{"steps: 60", "steps: 1500"}, {"checkpoint_interval: 20", "checkpoint_interval: 50"}});
  const Job killed = Submit(spec);
  person_.Watch(killed.name(), 0, [](const jobs::v1::JobEvent& event) {
    return absl::StrContains(jobs::Words(event), "state saved at step");
  });
  fleet_->KillRunner();
  fleet_->StartRunner();
  const Job resumed = Finish(killed);
  ASSERT_EQ(resumed.state(), Job::SUCCEEDED) << resumed.error();
  EXPECT_EQ(resumed.attempt(), 2);
  EXPECT_THAT(words_, Contains(HasSubstr("resumed at step ")));
  EXPECT_THAT(words_, Contains(HasSubstr("(of an earlier attempt)")));
  EXPECT_EQ(resumed.progress().step(), 1500);

  const Job straight = Finish(Submit(spec));
  ASSERT_EQ(straight.state(), Job::SUCCEEDED) << straight.error();
  EXPECT_EQ(straight.attempt(), 1);
  EXPECT_EQ(DigestOf(resumed), DigestOf(straight));
  EXPECT_EQ(resumed.result(), straight.result());  // the same content is one version
}

// The children of the runner's threads.
std::vector<pid_t> ChildrenOf(pid_t runner) {
  std::vector<pid_t> children;
  for (const auto& task :
       std::filesystem::directory_iterator(absl::StrCat("/proc/", runner, "/task"))) {
    std::ifstream file(task.path() / "children");
    for (pid_t child = 0; file >> child;) children.push_back(child);
  }
  return children;
}

TEST_F(PretrainJobTest, ALostProcessFailsTheAttemptAndTheNextEndsInTheSameBytes) {
  const std::string spec =
      absl::StrReplaceAll(kSpec, {{"steps: 60", "steps: 300\n  processes: 2"},
                                  {"checkpoint_interval: 20", "checkpoint_interval: 25"}});
  const Job lost = Submit(spec);
  person_.Watch(lost.name(), 0, [](const jobs::v1::JobEvent& event) {
    return absl::StrContains(jobs::Words(event), "state saved at step");
  });
  const std::vector<pid_t> children = ChildrenOf(fleet_->runner_pid());
  ASSERT_EQ(children.size(), 1u);
  ASSERT_EQ(::kill(children[0], SIGKILL), 0);
  const Job resumed = Finish(lost);
  ASSERT_EQ(resumed.state(), Job::SUCCEEDED) << resumed.error();
  EXPECT_EQ(resumed.attempt(), 2);
  EXPECT_THAT(words_, Contains(HasSubstr("rank 1 was killed by signal 9")));
  EXPECT_THAT(words_, Contains(HasSubstr("resumed at step ")));
  EXPECT_THAT(ChildrenOf(fleet_->runner_pid()), testing::IsEmpty());

  const Job straight = Finish(Submit(spec));
  ASSERT_EQ(straight.state(), Job::SUCCEEDED) << straight.error();
  EXPECT_EQ(DigestOf(resumed), DigestOf(straight));
}

// Bytes, of a line of /proc/<pid>/status.
double StatusBytes(pid_t pid, const std::string& line) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/status"));
  std::string word;
  double kibibytes = 0;
  while (file >> word && word != line) file.ignore(4096, '\n');
  file >> kibibytes;
  return kibibytes * 1024;
}

TEST_F(PretrainJobTest, AJobsFiguresAreGaugesWhileItRunsItsMemoryThatOfAllItsProcesses) {
  const Job job = Submit(With("steps: 60", "steps: 1000000\n  processes: 2"));
  double told = 0;  // bytes
  person_.Watch(job.name(), 0, [&](const jobs::v1::JobEvent& event) {
    const auto& metrics = event.progress().metrics();
    if (!metrics.contains("held_out_loss")) return false;
    told = metrics.at("peak_memory_bytes");
    return true;
  });
  const std::vector<pid_t> children = ChildrenOf(fleet_->runner_pid());
  ASSERT_EQ(children.size(), 1u);
  EXPECT_GT(told, StatusBytes(fleet_->runner_pid(), "VmHWM:"));
  EXPECT_LE(told, 1.01 * (StatusBytes(fleet_->runner_pid(), "VmHWM:") +
                          StatusBytes(children[0], "VmHWM:")));

  const std::string series =
      absl::StrCat("{job_id=\"", job.name().substr(job.name().rfind('/') + 1),
                   "\",kind=\"pretrain\",team=\"nlp\"} ");
  const std::string during = fleet_->RunnerMetrics();
  for (const char* gauge :
       {"step", "steps", "loss", "held_out_loss", "learning_rate", "gradient_norm",
        "tokens_per_second", "flop_per_second", "gemm_peak_ratio", "peak_memory_bytes"}) {
    EXPECT_THAT(during, HasSubstr(absl::StrCat("\nfloe_runner_job_", gauge, series)));
  }
  ASSERT_TRUE(person_.Cancel(job.name()).ok());
  ASSERT_TRUE(person_.WaitFor(job.name(), Job::CANCELLED).ok());
  EXPECT_THAT(fleet_->RunnerMetrics(), Not(HasSubstr("floe_runner_job_")));
}

// Threads that spin while they wait make a busy machine train ten times slower.
TEST_F(PretrainJobTest, TheRunnersThreadsSleepWhileTheyWaitAndItAsksForHugePages) {
  ASSERT_EQ(Finish(Submit(kSpec)).state(), Job::SUCCEEDED);  // it has started
  const auto environment = ReadFile(absl::StrCat("/proc/", fleet_->runner_pid(), "/environ"));
  ASSERT_TRUE(environment.ok()) << environment.status();
  EXPECT_THAT(*environment, HasSubstr("GOMP_SPINCOUNT="));
  EXPECT_THAT(*environment, HasSubstr("glibc.malloc.hugetlb=1"));
  EXPECT_EQ(ReadFile(absl::StrCat("/proc/", fleet_->runner_pid(), "/comm")).value(),
            "floe-runner\n");
}

TEST_F(PretrainJobTest, ACancelledJobStops) {
  const Job job = Submit(With("steps: 60", "steps: 1000000"));
  person_.Watch(job.name(), 0,
                [](const jobs::v1::JobEvent& event) { return event.progress().step() > 0; });
  ASSERT_TRUE(person_.Cancel(job.name()).ok());
  EXPECT_EQ(Finish(job).state(), Job::CANCELLED);
}

TEST_F(PretrainJobTest, APausedJobSavesItsStateAndGoesOnFromThereWithItsCurve) {
  const Job job = Submit(With("steps: 60", "steps: 1000000"));
  const auto until = [&](const std::string& words) {
    return person_.Watch(job.name(), 0, [&](const jobs::v1::JobEvent& event) {
      return absl::StrContains(jobs::Words(event), words);
    });
  };
  until("state saved at step");
  ASSERT_TRUE(person_.Pause(job.name()).ok());
  const auto paused = person_.WaitFor(job.name(), Job::PAUSED);
  ASSERT_TRUE(paused.ok()) << paused.status();
  ASSERT_EQ(paused->attempts_size(), 1);
  EXPECT_EQ(paused->attempts(0).outcome(), "handed_back");
  EXPECT_EQ(paused->attempts(0).reason(), "paused on request");
  const auto before = person_.Metrics(job.name(), 10'000);
  ASSERT_TRUE(before.ok()) << before.status();
  ASSERT_GT(before->metrics_size(), 0);
  for (const char* metric : {"loss", "tokens", "learning_rate", "grad_norm", "tokens_per_second",
                             "gflops", "peak_memory_bytes"}) {
    EXPECT_TRUE(before->metrics(0).metrics().contains(metric)) << metric;
  }

  ASSERT_TRUE(person_.Resume(job.name()).ok());
  const auto resumed = until("resumed at step");
  ASSERT_FALSE(resumed.events.empty());
  int64_t saved = 0;  // the pause's own state is the newest
  for (const std::string& words : jobs::Words(resumed.events)) {
    if (absl::StartsWith(words, "state saved at step ")) saved = std::stoll(words.substr(20));
  }
  EXPECT_EQ(resumed.events.back().log().text(), absl::StrCat("resumed at step ", saved));
  EXPECT_GE(saved, before->metrics(before->metrics_size() - 1).step());
  ASSERT_TRUE(person_.Cancel(job.name()).ok());
  EXPECT_TRUE(person_.WaitFor(job.name(), Job::CANCELLED).ok());
}

TEST_F(PretrainJobTest, ADivergingJobFailsOnce) {
  const Job job = Finish(Submit(
      absl::StrReplaceAll(kSpec, {{"learning_rate: 0.01",
                                   "learning_rate: 10\n  min_learning_rate: 10\n  grad_clip: 0\n"
                                   "  weight_decay: 10"},
                                  {"steps: 60", "steps: 500"}})));
  EXPECT_EQ(job.state(), Job::FAILED);
  EXPECT_EQ(job.attempt(), 1);
  EXPECT_THAT(job.error(), HasSubstr("training diverged: the loss"));
}

// Which only its tokens tell: its bytes would do.
TEST_F(PretrainJobTest, ATextThatIsTooShortFailsOnce) {
  const Job job =
      Finish(Submit(absl::StrReplaceAll(kSpec, {{"held_out_fraction: 0.1", "held_out_fraction: 0"},
                                                {"context: 32", "context: 12000"}})));
  EXPECT_EQ(job.state(), Job::FAILED);
  EXPECT_EQ(job.attempt(), 1);
  EXPECT_THAT(job.error(), HasSubstr("sequence_length 12000 needs at least"));
}

TEST_F(PretrainJobTest, MistakesAreNamedBeforeAnythingIsQueued) {
  const auto refusal = [&](const std::string& spec, absl::StatusCode code) {
    const auto job = person_.Create(spec, "", kKind);
    EXPECT_EQ(job.status().code(), code) << spec << job.status();
    return std::string(job.status().message());
  };
  const auto invalid = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(refusal(With("  steps: 60", "  stepps: 60"), invalid),
              AllOf(HasSubstr("line 12"), HasSubstr("stepps")));
  EXPECT_THAT(refusal(With("num_heads: 2", "num_heads: 3"), invalid),
              AllOf(HasSubstr("line 7"), HasSubstr("does not divide")));
  EXPECT_THAT(refusal(With("dataset: numbers", "dataset: letters"), absl::StatusCode::kNotFound),
              HasSubstr("teams/nlp/datasets/letters"));
  EXPECT_THAT(refusal(With("tokenizer: sample", "tokenizer: none"), absl::StatusCode::kNotFound),
              HasSubstr("teams/nlp/tokenizers/none"));
  EXPECT_THAT(refusal(With("dataset: numbers", "dataset: teams/vision/datasets/numbers"), invalid),
              HasSubstr("of that team"));
  EXPECT_THAT(refusal(With("blueprint:", "blueprint:\n  family: mamba"), invalid),
              HasSubstr("mamba"));
  // All at once: what is missing, and a model that no machine here could hold.
  const std::string several =
      refusal(absl::StrReplaceAll(kSpec, {{"dataset: numbers", "dataset: letters"},
                                          {"hidden_size: 32", "hidden_size: 4096"},
                                          {"num_layers: 2", "num_layers: 1000"}}),
              invalid);
  EXPECT_THAT(several, AllOf(HasSubstr("teams/nlp/datasets/letters"), HasSubstr("\n"),
                             HasSubstr("the job needs about"), HasSubstr("have 4.0 GiB")));
  // A slip in the file hides nothing of what it names.
  EXPECT_THAT(refusal(absl::StrReplaceAll(kSpec, {{"dataset: numbers", "dataset: letters"},
                                                  {"tokenizer: sample", "tokenizer: none"},
                                                  {"  steps: 60", "  stepps: 60"}}),
                      invalid),
              AllOf(HasSubstr("line 12: unknown key"), HasSubstr("teams/nlp/datasets/letters"),
                    HasSubstr("teams/nlp/tokenizers/none")));
  EXPECT_THAT(refusal(absl::StrReplaceAll(kSpec, {{"context: 32", "context: 9999999"}}), invalid),
              HasSubstr("too little for one sequence of sequence_length 9999999"));
  jobs::JobCaller stranger(fleet_->trainer(), "vision");
  const auto foreign = stranger.Create(kSpec, "", kKind, "teams/vision");
  EXPECT_EQ(foreign.status().code(), absl::StatusCode::kNotFound) << foreign.status();
}

}  // namespace
}  // namespace floe::trainer
