#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "base/sha256.h"
#include "model/canonical_json.h"
#include "model/checkpoint.h"
#include "tests/model/samples.h"

namespace floe::model {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

const std::string kDigestA(64, 'a');
const std::string kDigestB(64, 'b');

Manifest Sample() {
  Manifest manifest;
  manifest.blueprint = SmallBlueprint(Family::kQwen3);
  manifest.parents.dataset = kDigestB;
  manifest.files["model.safetensors"] = {kDigestA, 4096};
  manifest.files["config.json"] = {kDigestB, 12};
  return manifest;
}

std::string Mistake(const Json& json) {
  const auto manifest = Manifest::Parse(*CanonicalJson(json.dump()));
  EXPECT_EQ(manifest.status().code(), absl::StatusCode::kInvalidArgument) << json;
  return std::string(manifest.status().message());
}

TEST(Manifest, HasTheseBytes) {
  EXPECT_EQ(
      Sample().Serialize(),
      "{\"blueprint\":{\"context\":64,\"family\":\"qwen3\",\"ffn\":\"gated\",\"ffn_hidden\":24,"
      "\"head_dim\":4,\"hidden_size\":16,\"norm_eps\":0.000001,\"num_heads\":4,"
      "\"num_kv_heads\":2,\"num_layers\":2,\"rope_theta\":1000000,\"tie_embeddings\":true,"
      "\"vocab_size\":32},\"files\":{\"config.json\":{\"sha256\":\"" +
          kDigestB + "\",\"size\":12},\"model.safetensors\":{\"sha256\":\"" + kDigestA +
          "\",\"size\":4096}},\"format\":\"floe.checkpoint.v1\",\"parents\":{\"dataset\":\"" +
          kDigestB + "\"}}");
}

// The digest of a checkpoint from before the key: without scaling there is none.
TEST(Manifest, WithoutScalingTheDigestStaysWhatItWas) {
  EXPECT_EQ(Sample().Digest(), "45b89bd8c624e4af34ca6848cdf0111d183124ba3948ad30aa965feafaa9159d");
}

TEST(Manifest, RopeScalingTakesPartInTheDigest) {
  Manifest scaled = Sample();
  scaled.blueprint.rope_scaling = {.kind = RopeScalingKind::kLinear, .factor = 2};
  EXPECT_THAT(scaled.Serialize(),
              HasSubstr("\"rope_scaling\":{\"factor\":2,\"rope_type\":\"linear\"}"));
  Manifest other = Sample();
  other.blueprint.rope_scaling = {RopeScalingKind::kLlama3, 2, 1, 4, 32};
  EXPECT_NE(scaled.Digest(), Sample().Digest());
  EXPECT_NE(scaled.Digest(), other.Digest());
  for (const Manifest& one : {scaled, other}) {
    const auto back = Manifest::Parse(one.Serialize());
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(back->blueprint, one.blueprint);
  }
  Json json = Json::parse(other.Serialize());
  json["blueprint"]["rope_scaling"]["extra"] = 1;
  EXPECT_THAT(Mistake(json), HasSubstr("blueprint.rope_scaling has the unknown key \"extra\""));
  json = Json::parse(other.Serialize());
  json["blueprint"]["rope_scaling"].erase("low_freq_factor");
  EXPECT_THAT(Mistake(json), HasSubstr("blueprint.rope_scaling has no low_freq_factor"));
  json = Json::parse(other.Serialize());
  json["blueprint"]["rope_scaling"]["rope_type"] = "yarn";
  EXPECT_THAT(Mistake(json), HasSubstr("rope_type is \"yarn\""));
  json["blueprint"]["rope_scaling"] = {{"rope_type", "default"}};
  EXPECT_THAT(Mistake(json), HasSubstr("canonical form"));
}

TEST(Manifest, ItsDigestIsThatOfItsBytes) {
  EXPECT_EQ(Sample().Digest(), Sha256::Hex(Sample().Serialize()));
  Manifest other = Sample();
  other.files["config.json"].size = 13;
  EXPECT_NE(other.Digest(), Sample().Digest());
}

TEST(Manifest, IsReadBack) {
  const Manifest sample = Sample();
  const auto back = Manifest::Parse(sample.Serialize());
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->blueprint, sample.blueprint);
  EXPECT_EQ(back->parents, sample.parents);
  EXPECT_EQ(back->files, sample.files);
}

TEST(Manifest, AnyOtherSpellingIsRefusedSinceItWouldHaveAnotherDigest) {
  const std::string bytes = Sample().Serialize();
  EXPECT_THAT(std::string(Manifest::Parse(bytes + "\n").status().message()),
              HasSubstr("canonical"));
  EXPECT_THAT(std::string(Manifest::Parse(Json::parse(bytes).dump(1)).status().message()),
              HasSubstr("canonical"));
}

TEST(Manifest, UnknownKeysAreRefusedWhereverTheyStand) {
  const Json good = Json::parse(Sample().Serialize());
  for (const char* place : {"", "/blueprint", "/parents", "/files/config.json"}) {
    Json json = good;
    json[Json::json_pointer(place)]["extra"] = 1;
    EXPECT_THAT(Mistake(json), HasSubstr("unknown key \"extra\"")) << place;
  }
}

TEST(Manifest, EveryMemberIsNeededButParents) {
  const Json good = Json::parse(Sample().Serialize());
  for (const auto& [key, value] : good.items()) {
    Json json = good;
    json.erase(key);
    EXPECT_THAT(Mistake(json), HasSubstr("has no " + key));
  }
  for (const auto& [key, value] : good["blueprint"].items()) {
    Json json = good;
    json["blueprint"].erase(key);
    EXPECT_THAT(Mistake(json), HasSubstr("has no " + key));
  }
}

TEST(Manifest, FileNamesWithAPathAreRefused) {
  for (const char* name : {"../evil", "a/b", "/etc/passwd", "", ".", "..", ".hidden", "a\\b", "a b",
                           "caf\xc3\xa9", "floe.json"}) {
    Json json = Json::parse(Sample().Serialize());
    json["files"][name] = {{"sha256", kDigestA}, {"size", 1}};
    EXPECT_THAT(Mistake(json), HasSubstr("files has the name")) << name;
  }
}

TEST(Manifest, BadDigestsAndSizesAreRefused) {
  Json json = Json::parse(Sample().Serialize());
  json["files"]["config.json"]["sha256"] = std::string(64, 'A');
  EXPECT_THAT(Mistake(json), HasSubstr("files.config.json has sha256"));
  json = Json::parse(Sample().Serialize());
  json["files"]["config.json"]["size"] = -1;
  EXPECT_THAT(Mistake(json), HasSubstr("has size = -1"));
  json = Json::parse(Sample().Serialize());
  json["parents"]["tokenizer"] = "abc";
  EXPECT_THAT(Mistake(json), HasSubstr("parents has tokenizer"));
}

TEST(Manifest, ABlueprintThatCannotBeIsRefused) {
  Json json = Json::parse(Sample().Serialize());
  json["blueprint"]["num_kv_heads"] = 3;
  EXPECT_THAT(Mistake(json), HasSubstr("num_kv_heads is 3"));
  json["blueprint"]["family"] = "rwkv";
  EXPECT_THAT(Mistake(json), HasSubstr("\"rwkv\""));
}

}  // namespace
}  // namespace floe::model
