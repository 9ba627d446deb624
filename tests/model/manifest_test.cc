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
