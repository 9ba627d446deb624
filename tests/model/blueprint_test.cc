#include "model/blueprint.h"

#include <limits>
#include <map>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/model/samples.h"

namespace floe::model {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr Family kFamilies[] = {Family::kQwen3, Family::kLlama, Family::kQwen2, Family::kGpt2};

std::string Mistakes(const Blueprint& b) {
  const absl::Status status = b.Validate();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

std::map<std::string, std::vector<int64_t>> ShapesOf(const Blueprint& b) {
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const TensorSpec& spec : TensorsOf(b)) {
    EXPECT_TRUE(shapes.emplace(spec.name, spec.shape).second) << spec.name << " twice";
  }
  return shapes;
}

TEST(Blueprint, SoundDialsOfEveryFamilyAreValid) {
  for (const Family family : kFamilies) {
    EXPECT_TRUE(SmallBlueprint(family).Validate().ok()) << SmallBlueprint(family).Validate();
  }
}

TEST(Blueprint, OneAnswerNamesEveryDialThatIsWrongAndItsValue) {
  Blueprint b = SmallBlueprint(Family::kQwen3);
  b.vocab_size = -7;
  b.num_kv_heads = 3;
  b.head_dim = 5;
  b.norm_eps = 0;
  EXPECT_THAT(Mistakes(b), AllOf(HasSubstr("vocab_size is -7"),
                                 HasSubstr("num_kv_heads is 3: must divide num_heads, 4"),
                                 HasSubstr("head_dim is 5: must be even"),
                                 HasSubstr("norm_eps is 0"), Not(HasSubstr("hidden_size"))));
}

TEST(Blueprint, OneHeadAndOneOfEverythingIsAModel) {
  Blueprint b = SmallBlueprint(Family::kQwen3);
  b.num_heads = b.num_kv_heads = b.num_layers = b.vocab_size = b.context = 1;
  b.hidden_size = b.ffn_hidden = 1;
  b.head_dim = 2;  // the least that RoPE can turn
  EXPECT_TRUE(b.Validate().ok()) << b.Validate();
  b = SmallBlueprint(Family::kGpt2);
  b.num_heads = b.num_kv_heads = 1;
  b.head_dim = b.hidden_size = 15;  // odd: learned positions turn nothing
  EXPECT_TRUE(b.Validate().ok()) << b.Validate();
}

TEST(Blueprint, AnOddHeadIsRefusedWherePairsAreTurned) {
  for (const Family family : {Family::kQwen3, Family::kLlama, Family::kQwen2}) {
    Blueprint b = SmallBlueprint(family);
    b.head_dim = 7;
    EXPECT_THAT(Mistakes(b), HasSubstr("head_dim is 7: must be even, since RoPE turns pairs"));
  }
}

TEST(Blueprint, KeyHeadsMustDivideTheQueryHeads) {
  for (const int64_t kv : {3, 5, 8}) {
    Blueprint b = SmallBlueprint(Family::kLlama);
    b.num_kv_heads = kv;
    EXPECT_THAT(Mistakes(b),
                HasSubstr(absl::StrCat("num_kv_heads is ", kv, ": must divide num_heads, 4")));
  }
}

TEST(Blueprint, DialsLeftAtZeroAreNamed) {
  EXPECT_THAT(Mistakes(Blueprint()),
              AllOf(HasSubstr("vocab_size"), HasSubstr("hidden_size"), HasSubstr("num_layers"),
                    HasSubstr("num_heads"), HasSubstr("num_kv_heads"), HasSubstr("head_dim"),
                    HasSubstr("ffn_hidden"), HasSubstr("context")));
}

TEST(Blueprint, Gpt2HasNoGroupedHeadsNoFreeHeadWidthAndNoGate) {
  Blueprint b = SmallBlueprint(Family::kGpt2);
  b.num_kv_heads = 2;
  b.head_dim = 8;
  b.ffn = FfnKind::kGated;
  EXPECT_THAT(Mistakes(b), AllOf(HasSubstr("num_kv_heads is 2"), HasSubstr("4 * 8 is not 16"),
                                 HasSubstr("ffn is gated")));
}

TEST(Blueprint, NumbersThatAreNoneAreRefused) {
  Blueprint b = SmallBlueprint(Family::kLlama);
  b.rope_theta = std::numeric_limits<double>::quiet_NaN();
  b.norm_eps = std::numeric_limits<double>::infinity();
  EXPECT_THAT(Mistakes(b), AllOf(HasSubstr("rope_theta"), HasSubstr("norm_eps")));
}

TEST(Blueprint, ExtremeDialsDoNotOverflowTheCheck) {
  Blueprint b = SmallBlueprint(Family::kGpt2);
  b.num_heads = b.num_kv_heads = b.head_dim = std::numeric_limits<int64_t>::max();
  EXPECT_THAT(Mistakes(b), HasSubstr("num_heads is 9223372036854775807"));
  b.num_heads = b.num_kv_heads = b.head_dim = std::numeric_limits<int64_t>::min();
  EXPECT_THAT(Mistakes(b), HasSubstr("num_heads is -9223372036854775808"));
}

TEST(Blueprint, FamilyNamesAreReadBack) {
  for (const Family family : kFamilies) EXPECT_EQ(*ParseFamily(FamilyName(family)), family);
  EXPECT_THAT(std::string(ParseFamily("mamba").status().message()), HasSubstr("\"mamba\""));
}

TEST(TensorsOf, Qwen3HasNormsOfQueryAndKeyAndNoBias) {
  const auto shapes = ShapesOf(SmallBlueprint(Family::kQwen3));
  EXPECT_EQ(shapes.size(), 2u + 2 * 11);
  EXPECT_THAT(shapes.at("model.layers.1.self_attn.q_norm.weight"), ElementsAre(4));
  EXPECT_THAT(shapes.at("model.layers.1.self_attn.k_proj.weight"), ElementsAre(8, 16));
  EXPECT_THAT(shapes.at("model.layers.1.mlp.down_proj.weight"), ElementsAre(16, 24));
  EXPECT_FALSE(shapes.contains("model.layers.0.self_attn.q_proj.bias"));
  EXPECT_FALSE(shapes.contains("lm_head.weight"));
}

TEST(TensorsOf, Qwen2HasBiasesOfQueryKeyAndValueOnly) {
  const auto shapes = ShapesOf(SmallBlueprint(Family::kQwen2));
  EXPECT_EQ(shapes.size(), 2u + 2 * 12);
  EXPECT_THAT(shapes.at("model.layers.0.self_attn.v_proj.bias"), ElementsAre(8));
  EXPECT_FALSE(shapes.contains("model.layers.0.self_attn.o_proj.bias"));
  EXPECT_FALSE(shapes.contains("model.layers.0.self_attn.q_norm.weight"));
}

TEST(TensorsOf, AnUntiedLlamaHasAHead) {
  const auto shapes = ShapesOf(SmallBlueprint(Family::kLlama));
  EXPECT_EQ(shapes.size(), 3u + 2 * 9);
  EXPECT_THAT(shapes.at("lm_head.weight"), ElementsAre(32, 16));
}

TEST(TensorsOf, APlainFfnHasNoGate) {
  Blueprint b = SmallBlueprint(Family::kQwen3);
  b.ffn = FfnKind::kPlain;
  const auto shapes = ShapesOf(b);
  EXPECT_FALSE(shapes.contains("model.layers.0.mlp.gate_proj.weight"));
  EXPECT_THAT(shapes.at("model.layers.0.mlp.up_proj.weight"), ElementsAre(24, 16));
}

TEST(TensorsOf, Gpt2IsStoredTransposedWithFusedAttention) {
  const auto shapes = ShapesOf(SmallBlueprint(Family::kGpt2));
  EXPECT_EQ(shapes.size(), 4u + 2 * 12);
  EXPECT_THAT(shapes.at("transformer.h.1.attn.c_attn.weight"), ElementsAre(16, 48));
  EXPECT_THAT(shapes.at("transformer.h.1.attn.c_attn.bias"), ElementsAre(48));
  EXPECT_THAT(shapes.at("transformer.h.1.mlp.c_fc.weight"), ElementsAre(16, 24));
  EXPECT_THAT(shapes.at("transformer.h.1.mlp.c_proj.weight"), ElementsAre(24, 16));
  EXPECT_THAT(shapes.at("transformer.wpe.weight"), ElementsAre(64, 16));
  EXPECT_THAT(shapes.at("transformer.ln_f.bias"), ElementsAre(16));
}

TEST(TensorsOf, TheOrderIsEmbeddingLayersNormHead) {
  const auto specs = TensorsOf(SmallBlueprint(Family::kLlama));
  EXPECT_EQ(specs.front().name, "model.embed_tokens.weight");
  EXPECT_EQ(specs[specs.size() - 2].name, "model.norm.weight");
  EXPECT_EQ(specs.back().name, "lm_head.weight");
}

}  // namespace
}  // namespace floe::model
