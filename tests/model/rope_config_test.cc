// RoPE's scaling in config.json: both spellings read, both written, and what is wrong named.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "model/checkpoint.h"
#include "tests/model/samples.h"

namespace floe::model {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

const RopeScaling kLinear{.kind = RopeScalingKind::kLinear, .factor = 2.5};
const RopeScaling kLlama3{RopeScalingKind::kLlama3, 8, 1, 4, 32};

Json Llama3() {
  return {{"rope_type", "llama3"},
          {"factor", 8.0},
          {"low_freq_factor", 1.0},
          {"high_freq_factor", 4.0},
          {"original_max_position_embeddings", 32}};
}

// A small llama's file, of context 64, with one member instead of what it says of RoPE.
std::string With(const char* key, const Json& value) {
  Json config = Json::parse(ConfigJson(SmallBlueprint(Family::kLlama)));
  config.erase("rope_parameters");
  config[key] = value;
  return config.dump();
}

Json Changed(Json scaling, const char* key, const Json& value) {
  scaling[key] = value;
  return scaling;
}

std::string Mistake(const std::string& json) {
  const auto blueprint = ParseConfigJson(json);
  EXPECT_EQ(blueprint.status().code(), absl::StatusCode::kInvalidArgument) << json;
  return std::string(blueprint.status().message());
}

TEST(RopeConfig, IsWrittenInBothSpellingsAndReadBack) {
  for (const RopeScaling& scaling : {kLinear, kLlama3}) {
    for (const Family family : {Family::kQwen3, Family::kLlama, Family::kQwen2}) {
      Blueprint b = SmallBlueprint(family);
      b.rope_scaling = scaling;
      Json config = Json::parse(ConfigJson(b));
      EXPECT_EQ(config["rope_scaling"]["factor"], scaling.factor);
      EXPECT_EQ(config["rope_parameters"]["factor"], scaling.factor);
      for (const char* left_out : {"", "rope_scaling", "rope_parameters"}) {
        Json one = config;
        one.erase(left_out);
        const auto back = ParseConfigJson(one.dump());
        ASSERT_TRUE(back.ok()) << back.status();
        EXPECT_EQ(*back, b) << "without " << left_out;
      }
    }
  }
  Blueprint b = SmallBlueprint(Family::kLlama);
  EXPECT_THAT(ConfigJson(b), Not(HasSubstr("rope_scaling")));
  b.rope_scaling = kLlama3;
  // As transformers asks for it: factors with a point, tokens without.
  EXPECT_EQ(Json::parse(ConfigJson(b))["rope_scaling"].dump(), Llama3().dump());
}

TEST(RopeConfig, EverySpellingIsRead) {
  Json oldest = Llama3();
  oldest.erase("rope_type");
  oldest["type"] = "llama3";
  Json newest = Llama3();
  newest["rope_theta"] = 1e6;
  for (const std::string& json : {With("rope_scaling", Llama3()), With("rope_scaling", oldest),
                                  With("rope_scaling", Changed(Llama3(), "type", "llama3")),
                                  With("rope_parameters", newest)}) {
    const auto b = ParseConfigJson(json);
    ASSERT_TRUE(b.ok()) << b.status();
    EXPECT_EQ(b->rope_scaling, kLlama3) << json;
  }
  const auto linear = ParseConfigJson(With("rope_scaling", {{"type", "linear"}, {"factor", 2.5}}));
  ASSERT_TRUE(linear.ok()) << linear.status();
  EXPECT_EQ(linear->rope_scaling, kLinear);
}

TEST(RopeConfig, OtherTypesAreRefusedByName) {
  for (const char* type : {"dynamic", "yarn", "longrope", "su", "mrope"}) {
    EXPECT_THAT(Mistake(With("rope_scaling", Changed(Llama3(), "rope_type", type))),
                AllOf(HasSubstr(std::string("rope_scaling.rope_type is \"") + type + "\""),
                      HasSubstr("supported are \"default\", \"linear\" and \"llama3\"")));
  }
  EXPECT_THAT(Mistake(With("rope_parameters", {{"type", "yarn"}})),
              HasSubstr("rope_parameters.type is \"yarn\""));
  EXPECT_THAT(Mistake(With("rope_scaling", {{"type", 3}})), HasSubstr("rope_scaling.type is 3"));
  EXPECT_THAT(Mistake(With("rope_scaling", {{"factor", 2.0}})),
              HasSubstr("rope_scaling.rope_type is missing"));
  EXPECT_THAT(Mistake(With("rope_parameters", {{"partial_rotary_factor", 0.5}})),
              HasSubstr("partial_rotary_factor is not 1"));
}

TEST(RopeConfig, WhatIsMissingOrOfAnotherTypeIsNamed) {
  const Json whole = Llama3();
  for (const auto& [key, value] : whole.items()) {
    if (key == "rope_type") continue;
    Json scaling = whole;
    scaling.erase(key);
    EXPECT_THAT(Mistake(With("rope_scaling", scaling)),
                HasSubstr("rope_scaling." + key + " is missing"));
    scaling[key] = "8";
    EXPECT_THAT(Mistake(With("rope_parameters", scaling)),
                HasSubstr("rope_parameters." + key + " is \"8\""));
  }
  EXPECT_THAT(Mistake(With("rope_scaling", {{"type", "linear"}})),
              HasSubstr("rope_scaling.factor is missing"));
  EXPECT_THAT(
      Mistake(With("rope_scaling", Changed(Llama3(), "original_max_position_embeddings", 8.5))),
      HasSubstr("must be a whole number"));
}

TEST(RopeConfig, WhatCannotBeIsNamed) {
  const auto mistake = [](const char* key, const Json& value) {
    return Mistake(With("rope_scaling", Changed(Llama3(), key, value)));
  };
  EXPECT_THAT(mistake("factor", 0.99), HasSubstr("rope_scaling.factor is 0.99"));
  EXPECT_THAT(mistake("low_freq_factor", 0), HasSubstr("rope_scaling.low_freq_factor is 0"));
  EXPECT_THAT(mistake("high_freq_factor", 1), HasSubstr("rope_scaling.high_freq_factor is 1"));
  EXPECT_THAT(mistake("original_max_position_embeddings", 65),
              HasSubstr("rope_scaling.original_max_position_embeddings is 65"));
  EXPECT_THAT(mistake("original_max_position_embeddings", 0),
              HasSubstr("rope_scaling.original_max_position_embeddings is 0"));
}

TEST(RopeConfig, SpellingsThatSayDifferentThingsAreRefused) {
  Json config = Json::parse(With("rope_scaling", Llama3()));
  config["rope_parameters"] = Changed(Llama3(), "factor", 4.0);
  EXPECT_THAT(Mistake(config.dump()),
              HasSubstr("rope_scaling and rope_parameters scale differently"));
  EXPECT_THAT(Mistake(With("rope_scaling", Changed(Llama3(), "type", "linear"))),
              HasSubstr("rope_scaling.rope_type and rope_scaling.type differ"));
}

}  // namespace
}  // namespace floe::model
