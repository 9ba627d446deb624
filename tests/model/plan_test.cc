#include "model/plan.h"

#include <sstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "model/accounting.h"
#include "model/presets.h"
#include "model/training_memory.h"

namespace floe::model {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

TEST(PlanJson, HasTheTotalAtParametersTotal) {
  EXPECT_EQ(Json::parse(PlanJson(*Preset("gpt2")))["parameters"]["total"], 124439808);
}

TEST(PlanJson, PartsAndSharesAddUp) {
  for (const std::string_view name : PresetNames()) {
    const Json parameters = Json::parse(PlanJson(*Preset(name)))["parameters"];
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

TEST(PlanJson, TellsMemoryAndWorkForTheWorkloadThatWasAsked) {
  const Blueprint b = *Preset("smollm2-135m");
  const Json plan = Json::parse(PlanJson(b, {.batch_size = 4, .sequence_length = 512}));
  EXPECT_EQ(plan["workload"]["sequence_length"], 512);
  EXPECT_EQ(plan["flops_per_token"]["training"], TrainingFlopsPerToken(b, 512));
  EXPECT_EQ(plan["memory"]["training"]["total"],
            EstimateTrainingMemory(b, {.batch_size = 4, .sequence_length = 512}).Total());
  EXPECT_EQ(plan["memory"]["serving"]["bf16"]["kv_cache"],
            EstimateServingMemory(b, 4, 512, 2).kv_cache);
  EXPECT_EQ(plan["kv_bytes_per_token"]["f32"], KvBytesPerToken(b, 4));
}

TEST(PlanTable, ShowsDialsPartsAndTheirShares) {
  const std::string table = PlanTable(*Preset("gpt2"));
  EXPECT_THAT(table, HasSubstr("hidden_size                  768\n"));
  EXPECT_THAT(table, HasSubstr("embeddings            39,383,808   31.65 %"));
  EXPECT_THAT(table, HasSubstr("total                124,439,808  100.00 %"));
  EXPECT_THAT(table, HasSubstr("tied"));
  EXPECT_THAT(table, HasSubstr("Memory to train"));
  EXPECT_THAT(table, HasSubstr("KV cache a token\n  f32                    72.00 KiB\n"));
}

TEST(PlanTable, LinesFitAndTheLastIsEnded) {
  for (const std::string_view name : PresetNames()) {
    std::istringstream lines(PlanTable(*Preset(name)));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
    EXPECT_EQ(PlanTable(*Preset(name)).back(), '\n');
  }
}

}  // namespace
}  // namespace floe::model
