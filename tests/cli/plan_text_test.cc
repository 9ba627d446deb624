// How a plan looks, and how its figures are read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "cli/output/table.h"
#include "cli/plan/hardware_file.h"
#include "cli/plan/plan_json.h"
#include "cli/plan/plan_table.h"

#include "model/presets.h"

namespace floe::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

model::Plan PlanOf(std::string_view preset, const model::PlanRequest& asked = {}) {
  model::PlanRequest request = asked;
  if (request.hardware.name.empty()) request.hardware = *model::HardwarePreset("h100-80gb");
  request.training.precision = request.hardware.BestPrecision();
  const auto plan = model::MakePlan(*model::Preset(preset), request);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *plan;
}

const Throughput kAssumed = {.runs = {}, .why = "no fleet to ask for past runs"};

TEST(PlanTable, LinesFitIn100ColumnsAndTheLastIsEnded) {
  const Throughput measured = {
      .runs = std::vector<PastRun>(5, {std::string(80, 'j'), std::string(80, 'd'), 1e12, 1e6})};
  for (const std::string_view name : model::PresetNames()) {
    for (const bool utf8 : {true, false}) {
      for (const Throughput& throughput : {kAssumed, measured}) {
        const std::string table = PlanTable(PlanOf(name), throughput, utf8);
        std::istringstream lines(table);
        for (std::string line; std::getline(lines, line);) {
          EXPECT_LE(DisplayWidth(line), 100u) << line;
        }
        EXPECT_EQ(table.back(), '\n');
      }
    }
  }
}

TEST(PlanTable, IsAsciiWhereNothingElseCanBeShown) {
  const std::string table = PlanTable(PlanOf("llama-3-8b"), kAssumed, false);
  for (const char c : table) EXPECT_TRUE(c == '\n' || (c >= ' ' && c <= '~'));
  EXPECT_THAT(table, AllOf(HasSubstr("+---v---"), HasSubstr("x 32 --+"), HasSubstr("####")));
  EXPECT_THAT(PlanTable(PlanOf("llama-3-8b"), kAssumed, true),
              AllOf(HasSubstr("┌───▼───"), HasSubstr("████"), Not(HasSubstr("#"))));
}

TEST(PlanTable, ABarIsAsLongAsItsShare) {
  const std::string table = PlanTable(PlanOf("classic"), kAssumed, false);
  // 64.06 % and 32.03 % of 40 columns.
  EXPECT_THAT(table, AllOf(HasSubstr("| " + std::string(26, '#') + " 64.06 %"),
                           HasSubstr("| " + std::string(13, '#') + " 32.03 %")));
}

TEST(PlanTable, NamesTheSourceOfOptimalTokensAndTheStandOfEveryFigure) {
  const std::string table = PlanTable(PlanOf("classic"), kAssumed, false);
  EXPECT_THAT(table, AllOf(HasSubstr("arXiv:2203.15556"), HasSubstr("6 N D"),
                           HasSubstr("assumed: 40.0 % of the bf16 peak"),
                           HasSubstr("no fleet to ask for past runs"), HasSubstr("DOES NOT FIT"),
                           HasSubstr("bf16 KV a token            512 KiB")));
  model::PlanRequest request;
  request.hardware = *model::HardwarePreset("cpu");
  request.training.batch_size = 1;
  EXPECT_THAT(PlanTable(PlanOf("gpt2", request), kAssumed, false),
              AllOf(HasSubstr("fits in"), HasSubstr("the embeddings again"), HasSubstr("biases"),
                    Not(HasSubstr("ffn instead"))));
}

TEST(PlanJson, PartsAndSharesAddUp) {
  for (const std::string_view name : model::PresetNames()) {
    const auto parameters = PlanJson(PlanOf(name), kAssumed)["parameters"];
    int64_t sum = 0;
    double share = 0;
    for (const auto& [part, value] : parameters["shares"].items()) {
      sum += parameters[part].get<int64_t>();
      share += value.get<double>();
    }
    EXPECT_EQ(parameters["total"], sum) << name;
    EXPECT_NEAR(share, 1, 1e-9) << name;
  }
}

TEST(PlanJson, HasTheFiguresOfThePlan) {
  const model::Plan plan = PlanOf("llama-3-8b");
  const auto json = PlanJson(plan, kAssumed);
  EXPECT_EQ(json["kv_bytes_per_token"]["bf16"], 131'072);
  EXPECT_EQ(json["memory"]["training"]["total"], plan.memory.Total());
  EXPECT_EQ(json["memory"]["serving"]["bf16"]["sequences_that_fit"], plan.serving[1].sequences);
  EXPECT_EQ(json["training"]["cost_microdollars"], plan.time.microdollars);
  EXPECT_EQ(json["training"]["throughput"]["why"], kAssumed.why);
  EXPECT_EQ(json["largest"]["serving_bf16"]["parameters"],
            model::CountParameters(*plan.serving[1].largest).Total());
}

TEST(Throughput, TheMedianOfTheRunsCounts) {
  Throughput throughput;
  EXPECT_EQ(throughput.FlopsPerSecond(), 0);
  for (const double sustained : {7e10, 1e9, 6e10}) throughput.runs.push_back({"", "", sustained});
  EXPECT_EQ(throughput.FlopsPerSecond(), 6e10);
}

TEST(HardwareFile, QuantitiesMemoriesAndPricesAreReadAsPeopleWriteThem) {
  EXPECT_EQ(*ParseQuantity("7e9"), 7'000'000'000);
  EXPECT_EQ(*ParseQuantity("1.5T"), 1'500'000'000'000);
  EXPECT_EQ(*ParseQuantity(" 32k"), 32'000);
  EXPECT_EQ(*ParseMemory("80GB"), 80'000'000'000);
  EXPECT_EQ(*ParseMemory("1.5 GiB"), 1'610'612'736);
  EXPECT_EQ(*ParseMemory("4096"), 4096);
  EXPECT_EQ(*ParseDollars("2.49"), 2'490'000);
  EXPECT_EQ(*ParseDollars("$0.000001"), 1);
  for (const char* wrong : {"", "B", "-1", "nan", "inf", "1e30", "7 billion", "0x"}) {
    EXPECT_EQ(ParseQuantity(wrong).status().code(), absl::StatusCode::kInvalidArgument) << wrong;
    EXPECT_FALSE(ParseMemory(wrong).ok()) << wrong;
  }
}

}  // namespace
}  // namespace floe::cli
