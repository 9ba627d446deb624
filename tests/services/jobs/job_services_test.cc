// Jobs over a real channel and a real Postgres.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "jobs/transitions.h"
#include "services/jobs/client/convert.h"
#include "services/jobs/client/lease_client.h"
#include "tests/services/jobs/job_service.h"
#include "tests/support/postgres.h"

namespace floe::jobs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Finish = v1::FinishAttemptRequest;

class JobServicesTest : public testing::Test {
 protected:
  void SetUp() override { host_.Start(); }

  v1::Job Submit(const std::string& spec = "{}") {
    const auto job = person_.Create(spec);
    EXPECT_TRUE(job.ok()) << job.status();
    return job.value_or(v1::Job{});
  }
  v1::Lease Take() {
    const auto answer = runner_.Acquire(absl::Seconds(30));
    EXPECT_TRUE(answer.ok()) << answer.status();
    EXPECT_TRUE(answer.ok() && answer->has_lease());
    return answer.ok() ? answer->lease() : v1::Lease{};
  }
  static v1::JobEvent Line(int64_t sequence, const std::string& text) {
    v1::JobEvent event;
    event.set_sequence(sequence);
    event.mutable_log()->set_text(text);
    return event;
  }
  static std::string ReasonText(const absl::Status& status) {
    const auto reason = ReasonOf(status);
    return reason ? reason->reason : "";
  }

  JobServiceHost host_{test::Postgres::Shared().CreateDatabase()};
  JobCaller person_{host_.channel(), "nlp"};
  JobCaller stranger_{host_.channel(), "vision"};
  JobCaller runner_{host_.channel(), ""};
};

TEST_F(JobServicesTest, SubmitsAJobAndShowsIt) {
  const v1::Job job = Submit("{\"steps\": 3}");
  EXPECT_THAT(job.name(), testing::MatchesRegex("teams/nlp/jobs/test-[0-9a-z]{26}"));
  EXPECT_EQ(job.kind(), kTestKind);
  EXPECT_EQ(job.spec(), "{\"steps\": 3}");
  EXPECT_EQ(job.state(), v1::Job::QUEUED);
  EXPECT_EQ(job.creator(), "key-1");
  EXPECT_EQ(job.max_attempts(), 3);
  const auto shown = person_.Get(job.name());
  ASSERT_TRUE(shown.ok()) << shown.status();
  EXPECT_EQ(shown->SerializeAsString(), job.SerializeAsString());
}

TEST_F(JobServicesTest, MistakesInASubmissionAreNamedAndQueueNothing) {
  const auto kind = person_.Create("{}", "", "test.other");
  EXPECT_EQ(kind.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(kind.status().message(), HasSubstr("\"test.other\""));
  EXPECT_THAT(kind.status().message(), HasSubstr(kTestKind));
  const auto spec = person_.Create("bad: 1");
  EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(spec.status().message(), "line 1: unknown key \"bad\"");
  EXPECT_EQ(person_.Create("{}", "two words").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(person_.Create("{}", "", kTestKind, "nlp").status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(person_.List(10)->jobs_size(), 0);
}

TEST_F(JobServicesTest, ARepeatedRequestIdReturnsTheFirstJob) {
  const auto first = person_.Create("{}", "request-1");
  ASSERT_TRUE(first.ok()) << first.status();
  const auto again = person_.Create("bad: by now", "request-1");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->name(), first->name());
  EXPECT_EQ(host_.kind().validated(), 1);
  EXPECT_EQ(person_.List(10)->jobs_size(), 1);
}

TEST_F(JobServicesTest, AnotherTeamSeesNothing) {
  const v1::Job job = Submit();
  EXPECT_EQ(stranger_.Get(job.name()).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(stranger_.Cancel(job.name()).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(stranger_.Watch(job.name(), 0).status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(stranger_.List(10).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(stranger_.Create("{}").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(stranger_.List(10, "", "teams/vision")->jobs_size(), 0);
  EXPECT_TRUE(runner_.Get(job.name()).ok()) << "a service acts on its own behalf";
  EXPECT_EQ(person_.Get(job.name())->state(), v1::Job::QUEUED);
}

TEST_F(JobServicesTest, APausedJobStepsAsideAndGoesOnWithItsAttemptsToldWithTheirReasons) {
  const v1::Job job = Submit();
  EXPECT_EQ(job.queue_position(), 1);
  const v1::Lease first = Take();
  ASSERT_EQ(person_.Pause(job.name())->state(), v1::Job::PAUSING);
  const auto heard = runner_.Heartbeat(first);
  ASSERT_TRUE(heard.ok()) << heard.status();
  EXPECT_TRUE(heard->pause_requested());
  EXPECT_FALSE(heard->cancel_requested());
  ASSERT_EQ(runner_.Finish(first, Finish::HANDED_BACK, "paused on request")->state(),
            v1::Job::PAUSED);
  EXPECT_FALSE(runner_.Acquire(absl::ZeroDuration())->has_lease());
  const auto resumed = person_.Resume(job.name());
  EXPECT_EQ(resumed->state(), v1::Job::QUEUED);
  EXPECT_EQ(resumed->queue_position(), 1);
  ASSERT_TRUE(runner_.Finish(Take(), Finish::SUCCEEDED).ok());
  const v1::Job shown = *person_.Get(job.name());
  EXPECT_EQ(shown.state(), v1::Job::SUCCEEDED);
  EXPECT_EQ(shown.queue_position(), 0);
  ASSERT_EQ(shown.attempts_size(), 2);
  EXPECT_EQ(shown.attempts(0).outcome(), "handed_back");
  EXPECT_EQ(shown.attempts(0).reason(), "paused on request");
  EXPECT_EQ(shown.attempts(0).runner(), "host-1");
  EXPECT_TRUE(shown.attempts(0).has_end_time());
  EXPECT_EQ(shown.attempts(1).outcome(), "succeeded");
  EXPECT_EQ(ReasonText(person_.Pause(job.name()).status()), "JOB_HAS_ENDED");
  EXPECT_EQ(stranger_.Pause(job.name()).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(stranger_.Resume(job.name()).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(JobServicesTest, ListsMeasurementsPageByPage) {
  const v1::Job job = Submit();
  const v1::Lease lease = Take();
  std::vector<v1::JobEvent> events;
  for (int step = 1; step <= 5; ++step) {
    v1::JobEvent event;
    event.set_sequence(lease.last_sequence() + step);
    event.mutable_progress()->set_step(step);
    (*event.mutable_progress()->mutable_metrics())["loss"] = 1.0 / step;
    events.push_back(event);
  }
  ASSERT_TRUE(runner_.Heartbeat(lease, events).ok());
  std::vector<int64_t> steps;
  std::string token;
  do {
    const auto page = person_.Metrics(job.name(), 2, token);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const v1::JobMetrics& row : page->metrics()) {
      steps.push_back(row.step());
      EXPECT_EQ(row.metrics().at("loss"), 1.0 / static_cast<double>(row.step()));
      EXPECT_EQ(row.attempt(), 1);
    }
    token = page->next_page_token();
  } while (!token.empty());
  EXPECT_THAT(steps, ElementsAre(1, 2, 3, 4, 5));
  EXPECT_EQ(person_.Metrics(job.name())->metrics_size(), 5);
  EXPECT_EQ(stranger_.Metrics(job.name()).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(person_.Metrics(job.name(), 2, "x").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(JobServicesTest, ListsPages) {
  std::vector<std::string> names;
  for (int i = 0; i < 5; ++i) names.push_back(Submit().name());
  std::vector<std::string> listed;
  std::string token;
  int pages = 0;
  do {
    const auto page = person_.List(2, token);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const v1::Job& job : page->jobs()) listed.push_back(job.name());
    token = page->next_page_token();
    ++pages;
  } while (!token.empty());
  EXPECT_EQ(pages, 3);
  EXPECT_THAT(listed, testing::UnorderedElementsAreArray(names));
  EXPECT_EQ(person_.List(0)->jobs_size(), 5);
  EXPECT_EQ(person_.List(2, "!").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(person_.List(-1).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(JobServicesTest, FromSubmissionToSuccess) {
  const v1::Job job = Submit();
  const v1::Lease lease = Take();
  EXPECT_EQ(lease.job().name(), job.name());
  EXPECT_EQ(lease.job().state(), v1::Job::RUNNING);
  EXPECT_EQ(lease.team(), "teams/nlp");
  EXPECT_EQ(lease.attempt(), 1);
  EXPECT_EQ(lease.last_sequence(), 2);
  EXPECT_GT(lease.expire_time().seconds(), 0);
  v1::JobEvent progress;
  progress.set_sequence(3);
  progress.mutable_progress()->set_step(5);
  (*progress.mutable_progress()->mutable_metrics())["loss"] = 1.5;
  const auto answer = runner_.Heartbeat(lease, {progress, Line(4, std::string("nul: \0", 6))});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->last_sequence(), 4);
  EXPECT_FALSE(answer->cancel_requested());
  const auto done = runner_.Finish(lease, Finish::SUCCEEDED);
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(done->state(), v1::Job::SUCCEEDED);
  EXPECT_EQ(done->progress().metrics().at("loss"), 1.5);
  const auto watched = person_.Watch(job.name(), 0);
  EXPECT_TRUE(watched.status.ok()) << watched.status;
  EXPECT_THAT(Words(watched.events),
              ElementsAre("QUEUED", "RUNNING", "step 5", "nul: \uFFFD", "SUCCEEDED"));
}

TEST_F(JobServicesTest, AWatcherGoesOnWhereItStopped) {
  const v1::Job job = Submit();
  const v1::Lease lease = Take();
  ASSERT_TRUE(runner_.Heartbeat(lease, {Line(3, "a"), Line(4, "b"), Line(5, "c")}).ok());
  const auto first = person_.Watch(job.name(), 0, [](const auto& e) { return e.sequence() == 3; });
  EXPECT_THAT(Words(first.events), testing::Contains("a"));
  ASSERT_TRUE(runner_.Finish(lease, Finish::SUCCEEDED).ok());
  const auto rest = person_.Watch(job.name(), 3);
  EXPECT_TRUE(rest.status.ok()) << rest.status;
  EXPECT_THAT(Words(rest.events), ElementsAre("b", "c", "SUCCEEDED"));
  const auto nothing = person_.Watch(job.name(), 6);
  EXPECT_TRUE(nothing.status.ok());
  EXPECT_THAT(Words(nothing.events), IsEmpty());
  EXPECT_EQ(person_.Watch(job.name(), -1).status.code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(JobServicesTest, ALongHistoryArrivesWhole) {
  const v1::Job job = Submit();
  const v1::Lease lease = Take();
  std::vector<v1::JobEvent> lines;
  for (int i = 3; i < 503; ++i) lines.push_back(Line(i, absl::StrCat("line ", i)));
  ASSERT_TRUE(runner_.Heartbeat(lease, lines).ok());
  ASSERT_TRUE(runner_.Finish(lease, Finish::SUCCEEDED).ok());
  const auto watched = person_.Watch(job.name(), 0);
  ASSERT_EQ(watched.events.size(), 503u);
  for (int i = 0; i < 503; ++i) ASSERT_EQ(watched.events[i].sequence(), i + 1);
}

TEST_F(JobServicesTest, AQueuedJobIsCancelledAtOnce) {
  const v1::Job job = Submit();
  const auto cancelled = person_.Cancel(job.name());
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  EXPECT_EQ(cancelled->state(), v1::Job::CANCELLED);
  EXPECT_TRUE(person_.Cancel(job.name()).ok()) << "repeating it is harmless";
  EXPECT_THAT(Words(person_.Watch(job.name(), 0).events), ElementsAre("QUEUED", "CANCELLED"));
  EXPECT_FALSE(runner_.Acquire(absl::ZeroDuration())->has_lease());
}

TEST_F(JobServicesTest, ARunningJobIsCancelledThroughItsRunner) {
  const v1::Job job = Submit();
  const v1::Lease lease = Take();
  EXPECT_EQ(person_.Cancel(job.name())->state(), v1::Job::CANCELLING);
  const auto answer = runner_.Heartbeat(lease, {Line(3, "writing a checkpoint")});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_TRUE(answer->cancel_requested());
  EXPECT_EQ(answer->last_sequence(), 3);
  EXPECT_EQ(runner_.Finish(lease, Finish::CANCELLED)->state(), v1::Job::CANCELLED);
  EXPECT_THAT(Words(person_.Watch(job.name(), 0).events),
              ElementsAre("QUEUED", "RUNNING", "CANCELLING", "writing a checkpoint", "CANCELLED"));
}

TEST_F(JobServicesTest, WhatHasEndedCannotBeCancelled) {
  const v1::Job job = Submit();
  ASSERT_TRUE(runner_.Finish(Take(), Finish::SUCCEEDED).ok());
  const auto cancelled = person_.Cancel(job.name());
  EXPECT_EQ(cancelled.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonText(cancelled.status()), "JOB_HAS_ENDED");
}

TEST_F(JobServicesTest, LeasesAreForServicesOnly) {
  Submit();
  const auto answer = person_.Acquire(absl::ZeroDuration());
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(JobServicesTest, WithoutWorkTheAnswerIsNoLease) {
  const auto answer = runner_.Acquire(absl::Milliseconds(50));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_FALSE(answer->has_lease());
}

TEST_F(JobServicesTest, AnEndedAttemptMayBeEndedAgainButNothingElse) {
  Submit();
  const v1::Lease lease = Take();
  ASSERT_TRUE(runner_.Finish(lease, Finish::FAILED_PERMANENT, "NaN").ok());
  const auto again = runner_.Finish(lease, Finish::FAILED_PERMANENT, "NaN");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->error(), "NaN");
  const auto heartbeat = runner_.Heartbeat(lease);
  EXPECT_EQ(heartbeat.status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(ReasonText(heartbeat.status()), kLeaseLost);
  EXPECT_EQ(runner_.Finish(lease, Finish::OUTCOME_UNSPECIFIED).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(JobServicesTest, AHandedBackAttemptIsNotCounted) {
  const v1::Job job = Submit();
  ASSERT_EQ(runner_.Finish(Take(), Finish::HANDED_BACK)->state(), v1::Job::QUEUED);
  const v1::Lease second = Take();
  EXPECT_EQ(second.attempt(), 2);
  EXPECT_EQ(second.job().max_attempts(), 4) << "it may be started once more";
}

TEST_F(JobServicesTest, ASilentRunnersJobGoesToTheNext) {
  host_.Stop();
  host_.options().lease = absl::Seconds(2);
  host_.options().heartbeat_interval = absl::Milliseconds(50);
  host_.options().retry.first_delay = absl::Milliseconds(10);
  host_.Start();
  const v1::Job job = Submit();
  const v1::Lease first = Take();
  const v1::Lease second = Take();  // waits until the first has run out
  EXPECT_EQ(second.job().name(), job.name());
  EXPECT_EQ(second.attempt(), 2);
  EXPECT_EQ(ReasonText(runner_.Heartbeat(first, {Line(3, "late")}).status()), kLeaseLost);
  EXPECT_EQ(runner_.Finish(first, Finish::SUCCEEDED).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(runner_.Finish(second, Finish::SUCCEEDED)->state(), v1::Job::SUCCEEDED);
}

// Nothing but the notification wakes these: the next look at the queue is hours away.
class NotificationTest : public JobServicesTest {
 protected:
  void SetUp() override {
    host_.options().poll_interval = absl::Hours(10);
    host_.options().lease = absl::Hours(100);
    host_.Start();
  }
};

TEST_F(NotificationTest, ANewJobWakesAWaitingRunner) {
  auto taken = std::async(std::launch::async, [this] { return Take(); });
  const v1::Job job = Submit();
  EXPECT_EQ(taken.get().job().name(), job.name());
}

TEST_F(NotificationTest, AHandedBackJobWakesAWaitingRunner) {
  Submit();
  const v1::Lease first = Take();
  auto taken = std::async(std::launch::async, [this] { return Take(); });
  ASSERT_TRUE(runner_.Finish(first, Finish::HANDED_BACK).ok());
  EXPECT_EQ(taken.get().attempt(), 2);
}

TEST_F(NotificationTest, AWatcherSeesEventsAsTheyCome) {
  const v1::Job job = Submit();
  auto watched = std::async(std::launch::async, [&] { return person_.Watch(job.name(), 0); });
  const v1::Lease lease = Take();
  ASSERT_TRUE(runner_.Heartbeat(lease, {Line(3, "a")}).ok());
  ASSERT_TRUE(person_.Cancel(job.name()).ok());
  ASSERT_TRUE(runner_.Finish(lease, Finish::CANCELLED).ok());
  const auto all = watched.get();
  EXPECT_TRUE(all.status.ok()) << all.status;
  EXPECT_THAT(Words(all.events), ElementsAre("QUEUED", "RUNNING", "a", "CANCELLING", "CANCELLED"));
}

TEST_F(NotificationTest, ADrainEndsWatchersWhichGoOnAfterwards) {
  const v1::Job job = Submit();
  std::promise<void> seen;
  auto watched = std::async(std::launch::async, [&] {
    return person_.Watch(job.name(), 0, [&](const auto&) {
      seen.set_value();
      return false;
    });
  });
  seen.get_future().wait();
  host_.Stop();
  EXPECT_EQ(watched.get().status.code(), absl::StatusCode::kUnavailable);
  host_.Start();
  ASSERT_TRUE(person_.Cancel(job.name()).ok());
  EXPECT_THAT(Words(person_.Watch(job.name(), 1).events), ElementsAre("CANCELLED"));
}

TEST_F(JobServicesTest, ARunnerThatLeftWhileItWaitedTakesNoJobAlong) {
  const auto client = MakeLeaseClient(host_.channel(), absl::Seconds(10));
  for (int i = 0; i < 20; ++i) {
    std::stop_source stop;
    auto waiting = std::async(std::launch::async, [&] {
      return client->Acquire({"host-1", {kTestKind}}, absl::Seconds(20), stop.get_token());
    });
    stop.request_stop();
    EXPECT_EQ(waiting.get().status().code(), absl::StatusCode::kCancelled);
  }
  Submit();
  EXPECT_EQ(Take().attempt(), 1);
}

}  // namespace
}  // namespace floe::jobs
