// Runner and service together, in one process: what goes away and comes back while a job runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <future>
#include <stdexcept>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

#include "services/jobs/client/lease_client.h"
#include "services/runner/lease_loop.h"
#include "tests/services/jobs/job_service.h"
#include "tests/services/runner/scripted_executor.h"
#include "tests/support/postgres.h"
#include "tests/support/temp_dir.h"

namespace floe::runner {
namespace {

using jobs::v1::Job;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// Lets an executor stand still until the test says go, or until it is asked to stop.
class Gate {
 public:
  void Open() { open_.set_value(); }
  void Pass() { future_.wait(); }

 private:
  std::promise<void> open_;
  std::shared_future<void> future_{open_.get_future()};
};

void WaitForStop(std::stop_token stop) {
  std::promise<void> stopped;
  const std::stop_callback heard(stop, [&] { stopped.set_value(); });
  stopped.get_future().wait();
}

class RunnerTest : public testing::Test {
 protected:
  void SetUp() override {
    host_.options().heartbeat_interval = absl::Milliseconds(20);
    host_.options().retry.first_delay = absl::Milliseconds(1);
    host_.Start();
  }
  void TearDown() override { StopRunner(); }

  void StartRunner(ScriptedExecutor::Work work) {
    executor_ = std::make_unique<ScriptedExecutor>(std::move(work));
    executors_ = {executor_.get()};
    client_ = jobs::MakeLeaseClient(host_.channel(), absl::Seconds(5));
    loop_ = std::make_unique<LeaseLoop>(
        LeaseLoop::Parts{*client_, executors_, clock_, logger_, metrics_},
        LoopOptions{
            "test",
            "host-1",
            0,
            dir_.path(),
            absl::Seconds(1),
            {.report_interval = absl::Milliseconds(1), .max_retry_delay = absl::Milliseconds(50)}});
    stop_ = std::stop_source();
    thread_ = std::thread([this] { loop_->Run(stop_.get_token(), {}); });
  }
  void StopRunner() {
    stop_.request_stop();
    if (thread_.joinable()) thread_.join();
  }
  std::string Submit() {
    const auto job = person_.Create("{}");
    EXPECT_TRUE(job.ok()) << job.status();
    return job.ok() ? job->name() : "";
  }
  Job WaitFor(const std::string& name, Job::State state) {
    const auto job = person_.WaitFor(name, state);
    EXPECT_TRUE(job.ok()) << job.status();
    return job.value_or(Job{});
  }
  // Until the event is stored.
  void WaitForWords(const std::string& name, const std::string& words) {
    const auto watched = person_.Watch(
        name, 0, [&](const jobs::v1::JobEvent& event) { return jobs::Words(event) == words; });
    ASSERT_EQ(jobs::Words(watched.events.back()), words) << watched.status;
  }
  std::vector<std::string> History(const std::string& name) {
    const auto watched = person_.Watch(name, 0);
    EXPECT_TRUE(watched.status.ok()) << watched.status;
    return jobs::Words(watched.events);
  }
  std::filesystem::path Folder(const std::string& name) {
    return dir_.path() / name.substr(name.rfind('/') + 1);
  }

  SystemClock clock_;
  runtime::Logger logger_{"test", runtime::LogLevel::kError, [](std::string_view) {}};
  runtime::Metrics metrics_;
  test::TempDir dir_;
  jobs::JobServiceHost host_{test::Postgres::Shared().CreateDatabase()};
  jobs::JobCaller person_{host_.channel(), "nlp"};
  std::unique_ptr<ScriptedExecutor> executor_;
  std::vector<Executor*> executors_;
  std::unique_ptr<jobs::LeaseClient> client_;
  std::unique_ptr<LeaseLoop> loop_;
  std::stop_source stop_;
  std::thread thread_;
};

TEST_F(RunnerTest, ExecutesAJobFromSubmissionToResult) {
  Assignment seen;
  StartRunner([&](const Assignment& job, Reporter& reporter, std::stop_token) {
    seen = job;
    reporter.Progress({.step = 1, .steps = 1});
    reporter.Info("done");
    return std::string("teams/nlp/things/1");
  });
  const std::string name = Submit();
  const Job job = WaitFor(name, Job::SUCCEEDED);
  EXPECT_EQ(job.result(), "teams/nlp/things/1");
  EXPECT_EQ(job.attempt(), 1);
  EXPECT_THAT(History(name), ElementsAre("QUEUED", "RUNNING", "step 1", "done", "SUCCEEDED"));
  StopRunner();
  EXPECT_EQ(seen.job, name);
  EXPECT_EQ(seen.team, "nlp");
  EXPECT_EQ(seen.creator, "key-1");
  EXPECT_EQ(seen.spec, "{}");
  EXPECT_EQ(seen.folder, Folder(name));
  EXPECT_FALSE(std::filesystem::exists(Folder(name))) << "nobody needs it any more";
  EXPECT_THAT(metrics_.Exposition(),
              HasSubstr("floe_runner_attempts_total{kind=\"test.work\",outcome=\"succeeded\"} 1"));
}

TEST_F(RunnerTest, WhatAJobReportsAreGaugesUntilItsAttemptEnds) {
  std::string during, between;
  StartRunner([&](const Assignment& job, Reporter& reporter,
                  std::stop_token) -> absl::StatusOr<std::string> {
    if (job.attempt == 2) {
      between = metrics_.Exposition();
      return std::string("result");
    }
    reporter.Progress(
        {.step = 3, .steps = 8, .metrics = {{"loss", 2.5}, {"gflops", 1.5}, {"held_out_step", 1}}});
    reporter.Progress({.step = 4, .steps = 8, .metrics = {{"loss", 2.25}}});
    during = metrics_.Exposition();
    throw std::runtime_error("thrown");
  });
  const std::string name = Submit();
  ASSERT_EQ(WaitFor(name, Job::SUCCEEDED).attempt(), 2);
  StopRunner();
  const std::string labels = absl::StrCat("{job_id=\"", name.substr(name.rfind('/') + 1),
                                          "\",kind=\"test.work\",team=\"nlp\"} ");
  for (const char* line :
       {"step# 4\n", "steps# 8\n", "loss# 2.25\n", "flop_per_second# 1500000000\n"}) {
    EXPECT_THAT(during, HasSubstr(absl::StrReplaceAll(absl::StrCat("floe_runner_job_", line),
                                                      {{"# ", labels}})));
  }
  EXPECT_THAT(during, Not(HasSubstr("held_out_step"))) << "not everything is worth a series";
  EXPECT_THAT(between, Not(HasSubstr("floe_runner_job_")));
  EXPECT_THAT(between, HasSubstr("floe_runner_jobs_running"));
}

TEST_F(RunnerTest, EventsWaitWhilePostgresIsAwayAndTheJobGoesOn) {
  Gate away, back;
  std::promise<void> worked;
  StartRunner([&](const Assignment&, Reporter& reporter, std::stop_token stop) {
    reporter.Info("before");
    away.Pass();
    for (int i = 1; i <= 25; ++i) reporter.Info(absl::StrCat("line ", i));
    const bool stopped = stop.stop_requested();
    worked.set_value();
    back.Pass();
    reporter.Info(stopped ? "was stopped" : "after");
    return std::string("result");
  });
  const std::string name = Submit();
  WaitForWords(name, "before");
  test::Postgres::Shared().Stop();
  away.Open();
  worked.get_future().wait();
  EXPECT_EQ(person_.Get(name).status().code(), absl::StatusCode::kUnavailable);
  test::Postgres::Shared().Start();
  WaitForWords(name, "line 25");
  EXPECT_EQ(person_.Get(name)->state(), Job::RUNNING);
  back.Open();
  EXPECT_EQ(WaitFor(name, Job::SUCCEEDED).attempt(), 1);
  std::vector<std::string> expected = {"QUEUED", "RUNNING", "before"};
  for (int i = 1; i <= 25; ++i) expected.push_back(absl::StrCat("line ", i));
  expected.insert(expected.end(), {"after", "SUCCEEDED"});
  EXPECT_EQ(History(name), expected);
}

TEST_F(RunnerTest, AJobThatEndsWhilePostgresIsAwayIsReportedAfterwards) {
  Gate away;
  StartRunner([&](const Assignment&, Reporter& reporter, std::stop_token) {
    reporter.Info("before");
    away.Pass();
    reporter.Info("the end");
    return std::string("result");
  });
  const std::string name = Submit();
  WaitForWords(name, "before");
  test::Postgres::Shared().Stop();
  away.Open();
  test::Postgres::Shared().Start();
  EXPECT_EQ(WaitFor(name, Job::SUCCEEDED).result(), "result");
  EXPECT_THAT(History(name), ElementsAre("QUEUED", "RUNNING", "before", "the end", "SUCCEEDED"));
}

TEST_F(RunnerTest, TheServiceMayBeRestarted) {
  Gate away;
  StartRunner([&](const Assignment&, Reporter& reporter, std::stop_token stop) {
    reporter.Info("before");
    away.Pass();
    reporter.Info("meanwhile");
    return std::string(stop.stop_requested() ? "was stopped" : "result");
  });
  const std::string name = Submit();
  WaitForWords(name, "before");
  host_.Stop();
  away.Open();
  host_.Start();
  const Job job = WaitFor(name, Job::SUCCEEDED);
  EXPECT_EQ(job.result(), "result");
  EXPECT_EQ(job.attempt(), 1);
  EXPECT_THAT(History(name), ElementsAre("QUEUED", "RUNNING", "before", "meanwhile", "SUCCEEDED"));
}

TEST_F(RunnerTest, ACancelledJobStopsAndLeavesNothing) {
  StartRunner([&](const Assignment& job, Reporter& reporter,
                  std::stop_token stop) -> absl::StatusOr<std::string> {
    std::ofstream(job.folder / "checkpoint") << "1";
    reporter.Info("working");
    WaitForStop(stop);
    reporter.Info("stopped");
    return absl::CancelledError("stopped");
  });
  const std::string name = Submit();
  WaitForWords(name, "working");
  EXPECT_EQ(person_.Cancel(name)->state(), Job::CANCELLING);
  EXPECT_EQ(WaitFor(name, Job::CANCELLED).error(), "cancelled on request");
  EXPECT_THAT(History(name),
              ElementsAre("QUEUED", "RUNNING", "working", "CANCELLING", "stopped", "CANCELLED"));
  StopRunner();
  EXPECT_FALSE(std::filesystem::exists(Folder(name)));
}

TEST_F(RunnerTest, AStoppingRunnerHandsItsJobBackWithoutCountingTheAttempt) {
  host_.kind().set_max_attempts(1);
  StartRunner([&](const Assignment& job, Reporter& reporter,
                  std::stop_token stop) -> absl::StatusOr<std::string> {
    reporter.Info("working");
    WaitForStop(stop);
    std::ofstream(job.folder / "checkpoint") << "7";
    return absl::CancelledError("stopped");
  });
  const std::string name = Submit();
  WaitForWords(name, "working");
  StopRunner();
  EXPECT_EQ(person_.Get(name)->state(), Job::QUEUED);
  StartRunner([&](const Assignment& job, Reporter&, std::stop_token) {
    std::string checkpoint;
    std::ifstream(job.folder / "checkpoint") >> checkpoint;
    return absl::StrCat("went on from ", checkpoint);
  });
  const Job job = WaitFor(name, Job::SUCCEEDED);
  EXPECT_EQ(job.result(), "went on from 7");
  EXPECT_EQ(job.attempt(), 2);
}

TEST_F(RunnerTest, APausedJobSavesAndGoesOnInItsFolderWhenItIsResumed) {
  host_.kind().set_max_attempts(1);
  StartRunner([&](const Assignment& job, Reporter& reporter,
                  std::stop_token stop) -> absl::StatusOr<std::string> {
    std::string checkpoint;
    std::ifstream(job.folder / "checkpoint") >> checkpoint;
    if (!checkpoint.empty()) return absl::StrCat("went on from ", checkpoint);
    reporter.Info("working");
    WaitForStop(stop);
    std::ofstream(job.folder / "checkpoint") << "7";
    return absl::CancelledError("stopped");
  });
  const std::string name = Submit();
  WaitForWords(name, "working");
  EXPECT_EQ(person_.Pause(name)->state(), Job::PAUSING);
  const Job paused = WaitFor(name, Job::PAUSED);
  ASSERT_EQ(paused.attempts_size(), 1);
  EXPECT_EQ(paused.attempts(0).reason(), "paused on request");
  ASSERT_TRUE(person_.Resume(name).ok());
  EXPECT_EQ(WaitFor(name, Job::SUCCEEDED).result(), "went on from 7");
}

TEST_F(RunnerTest, AJobThatFailsTooOftenFailsWithItsLastError) {
  StartRunner(
      [&](const Assignment& job, Reporter&, std::stop_token) -> absl::StatusOr<std::string> {
        if (job.attempt == 2) throw std::runtime_error("thrown");
        return absl::UnavailableError(absl::StrCat("no luck the ", job.attempt, ". time"));
      });
  const std::string name = Submit();
  const Job job = WaitFor(name, Job::FAILED);
  EXPECT_EQ(job.attempt(), 3);
  EXPECT_EQ(job.error(), "UNAVAILABLE: no luck the 3. time");
  const auto history = History(name);
  EXPECT_THAT(history, testing::Contains(HasSubstr("no luck the 1. time")));
  EXPECT_THAT(history, testing::Contains(HasSubstr("thrown")));
  StopRunner();
  EXPECT_TRUE(std::filesystem::exists(Folder(name))) << "kept for a person to look at";
}

TEST_F(RunnerTest, APermanentFailureIsNotRepeated) {
  StartRunner([&](const Assignment&, Reporter&, std::stop_token) -> absl::StatusOr<std::string> {
    return absl::DataLossError("the loss is NaN at step 3");
  });
  const Job job = WaitFor(Submit(), Job::FAILED);
  EXPECT_EQ(job.attempt(), 1);
  EXPECT_EQ(job.error(), "DATA_LOSS: the loss is NaN at step 3");
}

}  // namespace
}  // namespace floe::runner
