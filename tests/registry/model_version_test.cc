#include "registry/model_version.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/sha256.h"
#include "model/checkpoint.h"

namespace floe::registry {
namespace {

using testing::HasSubstr;

const OwnedName kModel = {"nlp", "hamlet"};

model::Manifest SmallManifest() {
  model::Manifest manifest;
  manifest.blueprint.vocab_size = 64;
  manifest.blueprint.hidden_size = 16;
  manifest.blueprint.num_layers = 1;
  manifest.blueprint.num_heads = 2;
  manifest.blueprint.num_kv_heads = 1;
  manifest.blueprint.head_dim = 8;
  manifest.blueprint.ffn_hidden = 32;
  manifest.blueprint.context = 32;
  manifest.parents = {std::string(64, 'a'), std::string(64, 'b'), std::string(64, 'c')};
  manifest.files["config.json"] = {std::string(64, 'd'), 12};
  return manifest;
}

TEST(ModelVersionTest, EverythingComesFromTheManifest) {
  const std::string json = SmallManifest().Serialize();
  const auto version = VersionFromManifest(kModel, json);
  ASSERT_TRUE(version.ok()) << version.status();
  EXPECT_EQ(version->digest, Sha256::Hex(json));
  EXPECT_EQ(version->manifest, json);
  ASSERT_EQ(version->files.size(), 1u);
  EXPECT_EQ(version->files[0].name, "config.json");
  EXPECT_EQ(version->files[0].blob, (Blob{std::string(64, 'd'), 12}));
  EXPECT_EQ(version->lineage.parent_digest, std::string(64, 'a'));
  EXPECT_EQ(version->lineage.dataset_digest, std::string(64, 'b'));
  EXPECT_EQ(version->lineage.tokenizer_digest, std::string(64, 'c'));
  EXPECT_GT(version->parameters, 0);
}

TEST(ModelVersionTest, OneCheckpointHasOneDigest) {
  const auto version = VersionFromManifest(kModel, SmallManifest().Serialize() + "\n");
  EXPECT_EQ(version.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(version.status().message()), HasSubstr("canonical"));
}

TEST(ModelVersionTest, AManifestWithoutFilesOrWithImpossibleDialsIsRefused) {
  model::Manifest empty = SmallManifest();
  empty.files.clear();
  EXPECT_THAT(std::string(VersionFromManifest(kModel, empty.Serialize()).status().message()),
              HasSubstr("names no file"));
  model::Manifest impossible = SmallManifest();
  impossible.blueprint.num_kv_heads = 3;
  EXPECT_FALSE(VersionFromManifest(kModel, impossible.Serialize()).ok());
}

TEST(ModelVersionTest, EvidenceIsFiniteAndBounded) {
  ModelVersion version;
  version.metrics["held_out_loss"] = 3.5;
  EXPECT_TRUE(ValidateEvidence(version).ok());
  version.metrics["held_out_loss"] = std::nan("");
  EXPECT_THAT(std::string(ValidateEvidence(version).message()), HasSubstr("held_out_loss"));
  version.metrics.clear();
  for (int i = 0; i < 201; ++i) version.metrics[std::to_string(i)] = i;
  EXPECT_THAT(std::string(ValidateEvidence(version).message()), HasSubstr("201"));
  version.metrics.clear();
  version.lineage.job = std::string(201, 'j');
  EXPECT_THAT(std::string(ValidateEvidence(version).message()), HasSubstr("lineage.job"));
}

}  // namespace
}  // namespace floe::registry
