// Runners as processes: killed, and asked to leave.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "base/files.h"
#include "tests/services/jobs/job_service.h"
#include "tests/support/child_process.h"
#include "tests/support/postgres.h"
#include "tests/support/temp_dir.h"

namespace floe::runner {
namespace {

using jobs::v1::Job;
using testing::ElementsAre;
using testing::HasSubstr;

class KilledRunnerTest : public testing::Test {
 protected:
  void SetUp() override {
    host_.options().lease = absl::Seconds(2);  // a loaded machine must not end it by itself
    host_.options().heartbeat_interval = absl::Milliseconds(50);
    host_.options().retry.first_delay = absl::Milliseconds(10);
    host_.Start();
  }
  // From the test's main thread.
  test::ChildProcess StartRunner() {
    auto runner = test::ChildProcess::Start(
        {.argv = {FLOE_TEST_RUNNER, "--queues", "test=" + host_.address(), "--insecure",
                  "--work-dir", dir_ / "work", "--report-interval", "10ms"},
         .output = dir_ / "log"});
    EXPECT_TRUE(runner.ok()) << runner.status();
    return *std::move(runner);
  }
  // A job whose first attempt stands still after step 3.
  std::string SubmitAndWaitUntilItStandsStill() {
    const auto job = person_.Create(R"({"steps": 5, "stand_still_after": 3})");
    EXPECT_TRUE(job.ok()) << job.status();
    const auto watched = person_.Watch(job->name(), 0, [](const jobs::v1::JobEvent& event) {
      return jobs::Words(event) == "standing still";
    });
    EXPECT_THAT(jobs::Words(watched.events), testing::Contains("standing still")) << Log();
    return job->name();
  }
  std::string Log() { return ReadFile(dir_ / "log").value_or("no log"); }

  test::TempDir dir_;
  jobs::JobServiceHost host_{test::Postgres::Shared().CreateDatabase()};
  jobs::JobCaller person_{host_.channel(), "nlp"};
};

TEST_F(KilledRunnerTest, AKilledRunnersJobGoesOnFromItsCheckpointOnTheNext) {
  test::ChildProcess first = StartRunner();
  const std::string name = SubmitAndWaitUntilItStandsStill();
  first.Signal(SIGKILL);
  EXPECT_EQ(first.Wait(absl::Seconds(10)), 128 + SIGKILL);
  test::ChildProcess second = StartRunner();
  const auto job = person_.WaitFor(name, Job::SUCCEEDED);
  ASSERT_TRUE(job.ok()) << job.status() << Log();
  EXPECT_EQ(job->attempt(), 2);
  EXPECT_EQ(job->result(), "step 5");
  EXPECT_THAT(jobs::Words(person_.Watch(name, 0).events),
              ElementsAre("QUEUED", "RUNNING", "step 1", "step 2", "step 3", "standing still",
                          HasSubstr("was not heard of"), "QUEUED", "RUNNING",
                          "resumed after step 3", "step 4", "step 5", "SUCCEEDED"));
}

TEST_F(KilledRunnerTest, ARunnerThatIsAskedToLeaveHandsItsJobBack) {
  host_.kind().set_max_attempts(1);
  test::ChildProcess first = StartRunner();
  const std::string name = SubmitAndWaitUntilItStandsStill();
  first.Signal(SIGTERM);
  EXPECT_EQ(first.Wait(absl::Seconds(20)), 0) << Log();
  EXPECT_EQ(person_.Get(name)->state(), Job::QUEUED);
  test::ChildProcess second = StartRunner();
  const auto job = person_.WaitFor(name, Job::SUCCEEDED);
  ASSERT_TRUE(job.ok()) << job.status() << Log();
  EXPECT_EQ(job->attempt(), 2);
  EXPECT_THAT(jobs::Words(person_.Watch(name, 0).events),
              testing::Contains("resumed after step 3"));
}

TEST_F(KilledRunnerTest, AnIdleRunnerLeavesAtOnce) {
  test::ChildProcess runner = StartRunner();
  const auto job = person_.Create(R"({"steps": 1, "stand_still_after": 9})");
  ASSERT_TRUE(person_.WaitFor(job->name(), Job::SUCCEEDED).ok()) << Log();
  runner.Signal(SIGTERM);
  EXPECT_EQ(runner.Wait(absl::Seconds(10)), 0) << Log();
}

}  // namespace
}  // namespace floe::runner
