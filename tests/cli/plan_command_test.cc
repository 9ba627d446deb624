// `floe plan`: dials, sizes, hardware and runs by flags and files, and past runs of a fleet.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "tests/cli/program_fixture.h"

namespace floe::cli {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class PlanTest : public ProgramTest {
 protected:
  json Plan(std::vector<std::string> words) {
    words.insert(words.begin(), "plan");
    words.push_back("--json");
    EXPECT_EQ(Run(words), 0) << err_;
    return json::parse(out_, nullptr, false);
  }
  // A pre-training job that reported 2,000 tokens/s and 50 GFLOP/s: 25 MFLOP a token.
  void PutRun(const std::string& id, const std::string& device, const std::string& result) {
    jobs::v1::Job job;
    job.set_name(absl::StrCat(test::kFakeTeam, "/jobs/", id));
    job.set_kind("pretrain");
    job.set_state(jobs::v1::Job::SUCCEEDED);
    job.set_result(result);
    job.mutable_progress()->set_device(device);
    (*job.mutable_progress()->mutable_metrics())["tokens_per_second"] = 2000;
    (*job.mutable_progress()->mutable_metrics())["gflops"] = 50;
    fleet_.PutJob(job, {}, {});
  }
};

constexpr char kJob[] =
    "model: lexicon\ndataset: wordnet\ntokenizer: wordnet-4k\n"
    "blueprint: {hidden_size: 256, num_layers: 3, num_heads: 4, num_kv_heads: 2,\n"
    "            ffn_hidden: 640, context: 256}\n"
    "train: {steps: 1600, batch_size: 4, gradient_accumulation: 2}\n";

TEST_F(PlanTest, TheClassicDialsShowWhatTheFfnTakesAndWhatAGateAdds) {
  EXPECT_EQ(Run({"plan", "--preset", "classic", "--offline"}), 0);
  EXPECT_THAT(out_, AllOf(HasSubstr("6,704,861,184"), HasSubstr("8,852,344,832"),
                          HasSubstr("the FFN is 2.00 x attention"), HasSubstr("64.06 %")));
  // The same dials by hand: the family without norms of queries and keys, and an untied head.
  const json plain =
      Plan({"--family",         "llama", "--hidden-size", "4096", "--num-layers", "32",
            "--num-heads",      "32",    "--head-dim",    "128",  "--ffn-hidden", "16384",
            "--vocab-size",     "32000", "--context",     "2048", "--ffn",        "plain",
            "--tie-embeddings", "false", "--offline"});
  EXPECT_EQ(plain["parameters"]["total"], 6'704'861'184);
  EXPECT_EQ(plain["parameters"]["other_ffn"]["ffn"], "gated");
  EXPECT_EQ(plain["parameters"]["other_ffn"]["total"], 8'852'344'832);
  const json gated = Plan({"--preset", "classic", "--ffn", "gated", "--offline"});
  EXPECT_EQ(gated["parameters"]["total"], 8'852'344'832);
}

TEST_F(PlanTest, ScaledRopeIsAmongTheDials) {
  const json scaled = Plan({"--preset", "llama-3.2-1b", "--offline"})["blueprint"]["rope_scaling"];
  EXPECT_EQ(scaled["rope_type"], "llama3");
  EXPECT_EQ(scaled["factor"], 32);
  EXPECT_EQ(scaled["original_max_position_embeddings"], 8192);
  EXPECT_EQ(Plan({"--preset", "llama-3-8b", "--offline"})["blueprint"]["rope_scaling"], nullptr);
  EXPECT_EQ(Run({"plan", "--preset", "llama-3.1-8b", "--offline"}), 0);
  EXPECT_THAT(out_, HasSubstr("rope_scaling llama3 (factor 8, low_freq_factor 1, "));
}

TEST_F(PlanTest, AWantedSizeGivesTheNearestDialsAndThePlanOfTheFirst) {
  const json plan = Plan({"--target-parameters", "7e9", "--offline"});
  ASSERT_EQ(plan["nearest"].size(), 5u);
  EXPECT_NEAR(plan["parameters"]["total"].get<double>(), 7e9, 7e7);
  EXPECT_EQ(plan["nearest"][0]["parameters"], plan["parameters"]["total"]);
  EXPECT_EQ(plan["nearest"][0]["hidden_size"], plan["blueprint"]["hidden_size"]);
  // In the proportions of a preset, with one dial turned.
  const json styled = Plan({"--preset", "llama-3-8b", "--target-parameters", "3B", "--vocab-size",
                            "50000", "--offline"});
  EXPECT_EQ(styled["blueprint"]["family"], "llama");
  EXPECT_EQ(styled["blueprint"]["vocab_size"], 50000);
  EXPECT_NEAR(styled["parameters"]["total"].get<double>(), 3e9, 3e7);
  EXPECT_EQ(Plan({"--target-parameters", "124M", "--family", "gpt2", "--vocab-size", "50257",
                  "--offline"})["blueprint"]["ffn"],
            "plain");
  EXPECT_EQ(Run({"plan", "--target-parameters", "many"}), 2);
  EXPECT_THAT(err_, HasSubstr("\"many\" is no count"));
}

TEST_F(PlanTest, FlagsSayHowIsTrainedAndOnWhat) {
  const json plan = Plan({"--preset", "llama-3-8b", "--hardware", "a100-80gb", "--devices", "64",
                          "--shard-optimizer", "--optimizer", "muon", "--precision", "bf16",
                          "--activation-checkpointing", "--batch-size", "2", "--sequence-length",
                          "4096", "--tokens", "1T", "--offline"});
  EXPECT_EQ(plan["training"]["tokens"], 1'000'000'000'000);
  EXPECT_EQ(plan["training"]["optimizer"], "muon");
  EXPECT_EQ(plan["workload"]["sequence_length"], 4096);
  EXPECT_NEAR(plan["training"]["flops"]["executed"].get<double>() /
                  plan["training"]["flops"]["exact"].get<double>(),
              4.0 / 3, 1e-9);
  EXPECT_EQ(plan["training"]["throughput"]["source"], "assumed");
  EXPECT_DOUBLE_EQ(plan["training"]["throughput"]["flops_per_second_per_device"].get<double>(),
                   0.4 * 312e12);
  const json alone = Plan({"--preset", "llama-3-8b", "--hardware", "a100-80gb", "--offline"});
  EXPECT_LT(plan["memory"]["training"]["optimizer"].get<int64_t>(),
            alone["memory"]["training"]["optimizer"].get<int64_t>() / 64);
}

TEST_F(PlanTest, HardwareIsEditedByFlagsOrDescribedByAFile) {
  const json edited = Plan({"--preset", "gpt2", "--memory", "24GiB", "--price-per-hour", "1.25",
                            "--utilization", "0.5", "--memory-share", "1"});
  EXPECT_EQ(edited["memory"]["usable"], int64_t{24} << 30);
  EXPECT_EQ(edited["hardware"]["price_microdollars_per_hour"], 1'250'000);
  EXPECT_DOUBLE_EQ(edited["hardware"]["utilization"].get<double>(), 0.5);
  EXPECT_EQ(edited["training"]["throughput"]["why"], "--utilization was given");
  dir_.Write("ours.yaml", "like: h100-80gb\nname: ours\nprice_per_hour: 2.49\nmemory_gb: 96\n");
  const json ours = Plan({"--preset", "gpt2", "--hardware-file", "ours.yaml", "--offline"});
  EXPECT_EQ(ours["hardware"]["name"], "ours");
  EXPECT_EQ(ours["hardware"]["memory_bytes"], 96'000'000'000);
  EXPECT_EQ(ours["hardware"]["price_microdollars_per_hour"], 2'490'000);
  EXPECT_DOUBLE_EQ(ours["hardware"]["peak_flops_bf16"].get<double>(), 989.4e12);
  dir_.Write("bad.yaml", "like: h100-80gb\nprice_an_hour: 2\n");
  EXPECT_EQ(Run({"plan", "--preset", "gpt2", "--hardware-file", "bad.yaml"}), 2);
  EXPECT_THAT(err_, AllOf(HasSubstr("bad.yaml"), HasSubstr("line 2"), HasSubstr("price_an_hour")));
  dir_.Write("half.yaml", "name: half\npeak_tflops_f32: 1\n");
  EXPECT_EQ(Run({"plan", "--preset", "gpt2", "--hardware-file", "half.yaml"}), 2);
  EXPECT_THAT(err_, AllOf(HasSubstr("hardware half"), HasSubstr("peak in bf16 is 0"),
                          HasSubstr("memory is 0"), HasSubstr("utilization is 0")));
  EXPECT_EQ(Run({"plan", "--preset", "gpt2", "--hardware", "abacus"}), 2);
  EXPECT_THAT(err_, HasSubstr("h100-80gb"));
}

TEST_F(PlanTest, AJobFileSaysTheRunAndTheFleetItsVocabulary) {
  dir_.Write("job.yaml", kJob);
  const json given = Plan({"--job", "job.yaml", "--vocab-size", "4096", "--offline"});
  EXPECT_EQ(given["training"]["tokens"], 1600 * 4 * 2 * 256);
  EXPECT_EQ(given["workload"]["batch_size"], 4);
  EXPECT_EQ(given["hardware"]["name"], "cpu");
  EXPECT_EQ(given["training"]["precision"], "f32");
  // What the job leaves out is its recipe's, not the planner's: Muon keeps less than AdamW.
  const auto optimizer_bytes = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"--job", "job.yaml", "--vocab-size", "4096", "--offline"};
    words.insert(words.end(), more.begin(), more.end());
    return Plan(words)["memory"]["training"]["optimizer"].get<int64_t>();
  };
  EXPECT_EQ(optimizer_bytes({}), optimizer_bytes({"--optimizer", "muon"}));
  EXPECT_LT(optimizer_bytes({}), optimizer_bytes({"--optimizer", "adamw"}));
  dir_.Write("less.yaml", absl::StrReplaceAll(kJob, {{"{steps",
                                                      "{activation_checkpointing: true, "
                                                      "steps"}}));
  EXPECT_LT(Plan({"--job", "less.yaml", "--vocab-size", "4096",
                  "--offline"})["memory"]["training"]["activations"]
                .get<int64_t>(),
            given["memory"]["training"]["activations"].get<int64_t>());
  EXPECT_EQ(Run({"plan", "--job", "job.yaml", "--offline"}), 2);
  EXPECT_THAT(err_, HasSubstr("give its size with --vocab-size"));
  EXPECT_EQ(Run({"plan", "--job", "job.yaml"}), 2);
  EXPECT_THAT(err_, HasSubstr("no such tokenizer"));
  fleet_.PutTokenizer(absl::StrCat(test::kFakeTeam, "/tokenizers/wordnet-4k"), 4096);
  EXPECT_EQ(Plan({"--job", "job.yaml"})["parameters"], given["parameters"]);
}

TEST_F(PlanTest, PastRunsOnLikeHardwareReplaceTheAssumption) {
  const std::string version = absl::StrCat(test::kFakeTeam, "/models/lexicon/versions/3");
  PutRun("trainer-01cpu", "cpu: Some(R) Processor, 2 threads", version);
  PutRun("trainer-02gpu", "NVIDIA H100 80GB HBM3", "");
  // The whole run was slower than its last report: 1,600 tokens/s, 40 GFLOP/s.
  fleet_.PutMetrics(version, {{"tokens", 160'000}, {"training_seconds", 100}});
  const json cpu = Plan({"--preset", "gpt2", "--hardware", "cpu"})["training"]["throughput"];
  EXPECT_EQ(cpu["source"], "measured");
  ASSERT_EQ(cpu["runs"].size(), 1u);
  EXPECT_EQ(cpu["runs"][0]["job"], "trainer-01cpu");
  EXPECT_DOUBLE_EQ(cpu["flops_per_second_per_device"].get<double>(), 40e9);
  const json gpu = Plan({"--preset", "gpt2", "--hardware", "h100-80gb"})["training"]["throughput"];
  EXPECT_EQ(gpu["runs"][0]["job"], "trainer-02gpu");
  EXPECT_DOUBLE_EQ(gpu["flops_per_second_per_device"].get<double>(), 50e9);
  EXPECT_EQ(Run({"plan", "--preset", "gpt2", "--hardware", "cpu"}), 0);
  EXPECT_THAT(out_, AllOf(HasSubstr("measured: 40.0 % of the f32 peak"),
                          HasSubstr("job trainer-01cpu: 40.00 GFLOP/s"),
                          HasSubstr("on cpu: Some(R) Processor, 2 threads"),
                          Not(HasSubstr("trainer-02gpu"))));
  EXPECT_EQ(Run({"plan", "--preset", "gpt2", "--hardware", "l4"}), 0);
  EXPECT_THAT(out_, HasSubstr("none of 2 past runs was on l4"));
}

TEST_F(PlanTest, ARunOfSeveralProcessesCountsByTheProcessAndOneWithoutFiguresNotAtAll) {
  jobs::v1::Job job;
  job.set_name(absl::StrCat(test::kFakeTeam, "/jobs/trainer-03four"));
  job.set_kind("pretrain");
  job.set_state(jobs::v1::Job::RUNNING);
  job.mutable_progress()->set_device("cpu: Some(R) Processor, 2 threads");
  auto& metrics = *job.mutable_progress()->mutable_metrics();
  metrics["tokens_per_second"] = 4000;
  metrics["gflops"] = 160;
  metrics["processes"] = 4;
  fleet_.PutJob(job, {}, {});
  job.set_name(absl::StrCat(test::kFakeTeam, "/jobs/trainer-04cold"));
  metrics.clear();
  fleet_.PutJob(job, {}, {});
  job.set_name(absl::StrCat(test::kFakeTeam, "/jobs/trainer-05sft"));
  job.set_kind("sft");
  metrics["tokens_per_second"] = metrics["gflops"] = 1;
  fleet_.PutJob(job, {}, {});
  const json measured = Plan({"--preset", "gpt2", "--hardware", "cpu"})["training"]["throughput"];
  ASSERT_EQ(measured["runs"].size(), 1u);
  EXPECT_EQ(measured["runs"][0]["job"], "trainer-03four");
  EXPECT_DOUBLE_EQ(measured["flops_per_second_per_device"].get<double>(), 40e9);
}

TEST_F(PlanTest, BoxesAreDrawnWhereTheLocaleSaysThatTheyCanBeShown) {
  const auto table = [&] {
    EXPECT_EQ(Run({"plan", "--preset", "gpt2", "--offline"}), 0);
    return out_;
  };
  EXPECT_THAT(table(), AllOf(HasSubstr("+---v"), Not(HasSubstr("▼"))));
  variables_["LANG"] = "en_US.UTF-8";
  EXPECT_THAT(table(), HasSubstr("┌───▼"));
  variables_["LC_ALL"] = "C";  // outdoes LANG
  EXPECT_THAT(table(), Not(HasSubstr("▼")));
}

TEST_F(PlanTest, SaysWhyItAssumes) {
  EXPECT_EQ(Run({"plan", "--preset", "gpt2", "--offline"}), 0);
  EXPECT_THAT(out_, HasSubstr("--offline: no past run was asked for"));
  EXPECT_EQ(Run({"plan", "--preset", "gpt2"}), 0);
  EXPECT_THAT(out_, HasSubstr("the fleet has no past run to measure by"));
  variables_["FLOE_KEY"] = "floe-bad";
  EXPECT_EQ(Run({"plan", "--preset", "gpt2"}), 0);
  EXPECT_THAT(out_, HasSubstr("the fleet cannot be asked for past runs: UNAUTHENTICATED"));
  variables_.clear();
  EXPECT_EQ(Run({"plan", "--preset", "gpt2"}), 0);
  EXPECT_THAT(out_, HasSubstr("no fleet to ask for past runs"));
}

TEST_F(PlanTest, ImpossibleDialsAreNamed) {
  const auto refusal = [&](std::vector<std::string> dials) {
    std::vector<std::string> words = {"plan",          "--offline", "--vocab-size", "512",
                                      "--context",     "64",        "--num-layers", "2",
                                      "--hidden-size", "60"};
    words.insert(words.end(), dials.begin(), dials.end());
    EXPECT_EQ(Run(words), 2) << out_;
    return err_;
  };
  EXPECT_THAT(refusal({"--num-heads", "4"}), HasSubstr("head_dim is 15: must be even"));
  EXPECT_THAT(refusal({"--num-heads", "7"}), HasSubstr("--hidden-size 60 does not divide"));
  EXPECT_THAT(refusal({"--num-heads", "6", "--num-kv-heads", "4"}),
              HasSubstr("num_kv_heads is 4: must divide num_heads, 6"));
  EXPECT_THAT(refusal({"--num-heads", "0"}), HasSubstr("num_heads is 0"));
  EXPECT_THAT(refusal({"--num-heads", "6", "--sequence-length", "65"}),
              HasSubstr("sequence_length is 65: must be from 1 to the context, 64"));
  EXPECT_EQ(Run({"plan", "--offline", "--vocab-size", "512", "--context", "64", "--num-layers", "2",
                 "--hidden-size", "60", "--num-heads", "1"}),
            0)
      << err_;  // one head of 60
}

}  // namespace
}  // namespace floe::cli
