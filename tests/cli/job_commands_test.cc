// The commands that compare jobs and take them aside, against a fleet that a test owns.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/program_fixture.h"

namespace floe::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class JobCommandsTest : public ProgramTest {
 protected:
  // A job of 300 steps whose losses fall by `fall` every hundred.
  std::string Put(const std::string& id, const std::string& spec, double fall) {
    jobs::v1::Job job;
    job.set_name("teams/default/jobs/" + id);
    job.set_kind("pretrain");
    job.set_state(jobs::v1::Job::SUCCEEDED);
    job.set_spec(spec);
    job.mutable_start_time()->set_seconds(1000);
    job.mutable_end_time()->set_seconds(1090);
    job.mutable_progress()->set_step(300);
    job.mutable_progress()->set_steps(300);
    std::vector<jobs::v1::JobMetrics> rows;
    for (int at = 1; at <= 3; ++at) {
      jobs::v1::JobMetrics row;
      row.set_step(100 * at);
      auto& metrics = *row.mutable_metrics();
      metrics["loss"] = 5 - at * fall;
      metrics["held_out_loss"] = at == 3 ? 9 : 5.5 - at * fall;
      metrics["held_out_step"] = 100 * at;
      metrics["tokens"] = 1000 * at;
      metrics["tokens_per_second"] = 100 * at;
      metrics["gflops"] = 10 * at;
      metrics["gemm_peak_share"] = 0.2 * at;
      rows.push_back(row);
    }
    fleet_.PutMetrics(job.name(), rows);
    fleet_.PutJob(job, {}, {});
    return id;
  }
};

TEST_F(JobCommandsTest, CompareTellsSettingsThatDifferLossesTimeAndThroughput) {
  Put("trainer-01a", R"({"model":"a","train":{"steps":300,"learning_rate":0.004,"seed":1}})", 1);
  Put("trainer-01b", R"({"model":"a","train":{"steps":300,"learning_rate":0.001},"x":[1,2]})", 0.5);
  ASSERT_EQ(Run({"jobs", "compare", "trainer-01a", "trainer-01b"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("train.learning_rate"));
  EXPECT_THAT(out_, HasSubstr("0.004"));
  EXPECT_THAT(out_, HasSubstr("[1,2]"));
  EXPECT_THAT(out_, Not(HasSubstr("train.steps"))) << "it is the same";
  EXPECT_THAT(out_, HasSubstr("2.0000"));
  EXPECT_THAT(out_, HasSubstr("3.5000 at step 200"));
  EXPECT_THAT(out_, HasSubstr("1 min 30 s"));
  EXPECT_THAT(out_, testing::ContainsRegex("GFLOP/s, median +20.0 +20.0"));
  EXPECT_THAT(out_, testing::ContainsRegex("of GEMM peak, median +40% +40%"));
  EXPECT_THAT(out_, HasSubstr("held-out loss by step"));
  EXPECT_THAT(out_, HasSubstr("o trainer-01b"));

  ASSERT_EQ(Run({"jobs", "compare", "trainer-01a", "trainer-01b", "--json"}), 0) << err_;
  const json told = json::parse(out_);
  EXPECT_EQ(told["a"]["loss"]["last"], 2.0);
  EXPECT_EQ(told["a"]["held_out_loss"]["best"], 3.5);
  EXPECT_EQ(told["a"]["held_out_loss"]["best_step"], 200);
  EXPECT_EQ(told["b"]["loss"]["curve"], json::parse("[[100,4.5],[200,4.0],[300,3.5]]"));
  EXPECT_EQ(told["b"]["tokens"], 3000);
  EXPECT_EQ(told["b"]["tokens_per_second"], 200);
  EXPECT_DOUBLE_EQ(told["b"]["gemm_peak_share"].get<double>(), 0.4);
  EXPECT_EQ(told["settings"].size(), 3u);
  EXPECT_EQ(told["settings"][0]["key"], "train.learning_rate");
  EXPECT_EQ(told["settings"][1], json::parse(R"({"key":"train.seed","a":"1","b":"-"})"));

  EXPECT_EQ(Run({"jobs", "compare", "trainer-01a", "trainer-01none"}), 3);
  EXPECT_EQ(Run({"jobs", "compare", "trainer-01a"}), 2);
}

TEST_F(JobCommandsTest, PauseAndResumeTellWhereTheJobStands) {
  Put("trainer-01a", "{}", 1);
  EXPECT_EQ(Run({"jobs", "pause", "trainer-01a"}), 0) << err_;
  EXPECT_EQ(out_, "job trainer-01a is pausing\n");
  EXPECT_EQ(Run({"jobs", "resume", "trainer-01a"}), 0) << err_;
  EXPECT_EQ(out_, "job trainer-01a is queued (3.)\n");
  EXPECT_EQ(Run({"jobs", "ls", "--state", "queued"}), 0);
  EXPECT_THAT(out_, HasSubstr("queued (3.)"));
  EXPECT_EQ(Run({"jobs", "show", "trainer-01a"}), 0);
  EXPECT_THAT(out_, HasSubstr("2 before it"));
  EXPECT_EQ(Run({"jobs", "show", "trainer-01a", "--json"}), 0);
  EXPECT_EQ(json::parse(out_)["queue_position"], 3);
}

TEST_F(JobCommandsTest, AQueuedJobSaysItsPriorityItsPlaceAndWhatHoldsItBack) {
  jobs::v1::Job job;
  job.set_name("teams/default/jobs/trainer-01a");
  job.set_spec("{}");
  job.set_state(jobs::v1::Job::QUEUED);
  job.set_priority(-20);
  job.set_queue_position(2);
  job.set_memory_bytes(int64_t{3} << 29);
  job.set_held_back("team default has 1 job in work and may have 1");
  fleet_.PutJob(job, {}, {});
  ASSERT_EQ(Run({"jobs", "show", "trainer-01a"}), 0) << err_;
  EXPECT_THAT(out_, testing::ContainsRegex("priority +-20"));
  EXPECT_THAT(out_, HasSubstr("1 before it"));
  EXPECT_THAT(out_, testing::ContainsRegex("memory +about 1.5 GiB"));
  EXPECT_THAT(out_, testing::ContainsRegex("held back +team default has 1 job in work"));
  ASSERT_EQ(Run({"jobs", "ls"}), 0) << err_;
  EXPECT_THAT(out_, testing::ContainsRegex("queued [(]2[.][)] +-20 "));
  EXPECT_THAT(out_, HasSubstr("held back: team default has 1 job in work and may have 1"));
  ASSERT_EQ(Run({"jobs", "show", "trainer-01a", "--json"}), 0) << err_;
  EXPECT_EQ(json::parse(out_)["priority"], -20);
  EXPECT_EQ(json::parse(out_)["held_back"], "team default has 1 job in work and may have 1");
}

TEST_F(JobCommandsTest, ShowListsTheAttemptsAndWhyTheyEnded) {
  jobs::v1::Job job;
  job.set_name("teams/default/jobs/trainer-01a");
  job.set_spec("{}");
  auto& attempt = *job.add_attempts();
  attempt.set_number(1);
  attempt.set_runner("host-7");
  attempt.mutable_start_time()->set_seconds(1000);
  attempt.mutable_end_time()->set_seconds(1090);
  attempt.set_outcome("failed_retryable");
  attempt.mutable_used()->set_tokens(12'345);
  attempt.mutable_used()->set_gigaflop(1500);
  attempt.mutable_used()->mutable_core_time()->set_seconds(61);
  attempt.set_reason("UNAVAILABLE: rank 2 was killed by signal 9");
  fleet_.PutJob(job, {}, {});
  ASSERT_EQ(Run({"jobs", "show", "trainer-01a"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("1 min 30 s  12,345  1.50 TFLOP  1 min 01 s  failed retryable  "
                              "UNAVAILABLE: rank 2 was killed by"));
  EXPECT_THAT(out_, HasSubstr("host-7"));
  ASSERT_EQ(Run({"jobs", "show", "trainer-01a", "--json"}), 0) << err_;
  const json told = json::parse(out_)["attempts"][0];
  EXPECT_EQ(told["outcome"], "failed_retryable");
  EXPECT_EQ(told["used"]["tokens"], 12'345);
  EXPECT_EQ(told["used"]["core_seconds"], 61.0);
}

}  // namespace
}  // namespace floe::cli
