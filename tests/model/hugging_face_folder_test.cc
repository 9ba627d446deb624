#include "model/hugging_face_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "nlohmann/json.hpp"

#include "base/files.h"
#include "base/view.h"
#include "model/checkpoint.h"
#include "tests/model/samples.h"
#include "tests/support/temp_dir.h"

namespace floe::model {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class HuggingFaceFolderTest : public testing::Test {
 protected:
  void SetUp() override { Put("config.json", ConfigJson(dials_)); }
  void Put(const std::string& name, const std::string& bytes) {
    ASSERT_TRUE(WriteFileAtomically(temp_.path() / name, bytes).ok());
  }
  void Write(const std::string& name, const std::vector<NamedTensor>& tensors) {
    ASSERT_TRUE(WriteSafetensors(temp_.path() / name, tensors, {{"format", "pt"}}).ok());
  }
  // Every second tensor in the second file.
  json WriteShards() {
    std::vector<NamedTensor> shards[2];
    json map;
    for (size_t i = 0; i < numbers_.Named().size(); ++i) {
      const NamedTensor named = numbers_.Named()[i];
      shards[i % 2].push_back(named);
      map[named.name] = ShardName(i % 2);
    }
    for (int i : {0, 1}) Write(ShardName(i), shards[i]);
    const json index = {{"metadata", {{"total_size", 1}}}, {"weight_map", map}};
    Put("model.safetensors.index.json", index.dump());
    return index;
  }
  static std::string ShardName(int index) {
    return absl::StrCat("model-0000", index + 1, "-of-00002.safetensors");
  }
  absl::Status Refusal() { return HuggingFaceFolder::Open(temp_.path()).status(); }

  test::TempDir temp_;
  const Blueprint dials_ = SmallBlueprint(Family::kQwen3);
  const SmallTensors numbers_{dials_};
};

TEST_F(HuggingFaceFolderTest, ShardsAreOneModel) {
  WriteShards();
  Put("tokenizer.json", "{}");
  const auto folder = HuggingFaceFolder::Open(temp_.path());
  ASSERT_TRUE(folder.ok()) << folder.status();
  EXPECT_EQ(folder->blueprint(), dials_);
  EXPECT_EQ(folder->tokenizer_files().size(), 1u);
  const auto sharded = temp_.path() / "sharded";
  const auto digest =
      WriteCheckpoint(sharded, {.blueprint = folder->blueprint(), .tensors = folder->tensors()});
  // The same bytes as if the weights had been one file.
  EXPECT_EQ(*digest, *WriteCheckpoint(temp_.path() / "whole",
                                      {.blueprint = dials_, .tensors = numbers_.Named()}));
}

TEST_F(HuggingFaceFolderTest, HalvesKeepTheirTypeAndTheirNumbers) {
  std::vector<std::string> owned;
  std::vector<NamedTensor> tensors = numbers_.Named();
  for (NamedTensor& named : tensors) {
    std::string bytes;
    for (int64_t i = 0; i < named.tensor.NumElements(); ++i) {
      bytes += std::string("\x01\x00", 2);  // the smallest subnormal: 2^-24
    }
    owned.push_back(bytes);
    named.tensor.dtype = DType::kF16;
  }
  for (size_t i = 0; i < tensors.size(); ++i) tensors[i].tensor.bytes = owned[i];
  Write("model.safetensors", tensors);
  const auto folder = HuggingFaceFolder::Open(temp_.path());
  ASSERT_TRUE(folder.ok()) << folder.status();
  EXPECT_EQ(folder->tensors()[0].tensor.dtype, DType::kF16);
  for (const float value : folder->tensors()[0].tensor.ToFloats()) EXPECT_EQ(value, 0x1p-24f);
}

TEST_F(HuggingFaceFolderTest, AnIndexThatLiesIsRefused) {
  const json index = WriteShards();
  const std::string first = TensorsOf(dials_)[0].name;
  const auto refusal = [&](const std::function<void(json&)>& change) {
    json changed = index;
    change(changed);
    Put("model.safetensors.index.json", changed.dump());
    const absl::Status status = Refusal();
    EXPECT_TRUE(absl::IsInvalidArgument(status) || absl::IsNotFound(status)) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(refusal([&](json& j) { j["weight_map"][first] = "../model.safetensors"; }),
              HasSubstr("a *.safetensors file beside it"));
  EXPECT_THAT(refusal([&](json& j) { j["weight_map"][first] = 3; }), HasSubstr("puts"));
  EXPECT_THAT(refusal([&](json& j) { j["weight_map"][first] = "gone.safetensors"; }),
              HasSubstr("gone.safetensors"));
  EXPECT_THAT(refusal([&](json& j) { j["weight_map"][first] = ShardName(1); }),
              HasSubstr("which does not hold it"));
  EXPECT_THAT(refusal([&](json& j) { j["weight_map"].erase(first); }),
              HasSubstr("which weight_map does not list"));
  EXPECT_THAT(refusal([](json& j) { j.erase("weight_map"); }), HasSubstr("has no weight_map"));
}

TEST_F(HuggingFaceFolderTest, WeightsThatAreNotTheConfigsAreRefusedByName) {
  const std::vector<NamedTensor> all = numbers_.Named();
  std::vector<NamedTensor> tensors(all.begin(), all.end() - 1);
  Write("model.safetensors", tensors);
  EXPECT_THAT(Refusal().message(), HasSubstr("lack the tensor model.norm.weight of [16]"));
  tensors = all;
  tensors.push_back(all[0]);
  tensors.back().name = "model.vision.weight";
  Write("model.safetensors", tensors);
  EXPECT_THAT(Refusal().message(), HasSubstr("model.vision.weight that config.json does not"));
  Blueprint wider = dials_;
  wider.vocab_size = 33;
  Put("config.json", ConfigJson(wider));
  Write("model.safetensors", all);
  EXPECT_THAT(Refusal().message(), HasSubstr("is [32, 16], but config.json makes it [33, 16]"));
}

TEST_F(HuggingFaceFolderTest, ATiedHeadMayBeStoredWhenItIsTheEmbedding) {
  std::vector<NamedTensor> tensors = numbers_.Named();
  tensors.push_back({"lm_head.weight", tensors[0].tensor});
  Write("model.safetensors", tensors);
  EXPECT_THAT(HuggingFaceFolder::Open(temp_.path())->left_out(), ElementsAre("lm_head.weight"));
  const std::string other(tensors[0].tensor.bytes.size(), '\x3f');
  tensors.back().tensor.bytes = other;
  Write("model.safetensors", tensors);
  EXPECT_THAT(Refusal().message(), HasSubstr("ties the embeddings, but lm_head.weight differs"));
}

TEST_F(HuggingFaceFolderTest, PublishedGpt2HasNoPrefixAndStoresItsMasks) {
  const Blueprint gpt2 = SmallBlueprint(Family::kGpt2);
  const SmallTensors numbers(gpt2);
  std::vector<NamedTensor> tensors;
  for (NamedTensor named : numbers.Named()) {
    named.name = absl::StrReplaceAll(named.name, {{"transformer.", ""}});
    tensors.push_back(named);
  }
  tensors.push_back({"h.0.attn.bias", tensors[0].tensor});
  Put("config.json", ConfigJson(gpt2));
  Write("model.safetensors", tensors);
  const auto folder = HuggingFaceFolder::Open(temp_.path());
  ASSERT_TRUE(folder.ok()) << folder.status();
  EXPECT_THAT(folder->left_out(), ElementsAre("h.0.attn.bias"));
  EXPECT_EQ(folder->tensors()[0].name, "transformer.wte.weight");
}

TEST_F(HuggingFaceFolderTest, WeightsThatAreNoNumbersArePickledOrNotThereAreRefused) {
  EXPECT_TRUE(absl::IsNotFound(Refusal())) << Refusal();
  Put("pytorch_model.bin", "PK");
  EXPECT_TRUE(absl::IsUnimplemented(Refusal())) << Refusal();
  std::vector<NamedTensor> tensors = numbers_.Named();
  std::vector<float> bad(static_cast<size_t>(tensors[1].tensor.NumElements()), 1.0f);
  bad[3] = std::numeric_limits<float>::quiet_NaN();
  tensors[1].tensor.bytes = {reinterpret_cast<const char*>(bad.data()), bad.size() * 4};
  Write("model.safetensors", tensors);
  EXPECT_TRUE(absl::IsDataLoss(Refusal())) << Refusal();
  EXPECT_THAT(Refusal().message(), HasSubstr(tensors[1].name));
}

// A plain FFN would be no error to transformers.
TEST(OthersRead, WhatTheyCannotReadAsItIsMeantIsRefusedByName) {
  Manifest manifest;
  for (const Family family : {Family::kQwen3, Family::kLlama, Family::kQwen2, Family::kGpt2}) {
    manifest.blueprint = SmallBlueprint(family);
    manifest.weight_format = WeightFormat::kFloat;
    EXPECT_TRUE(CheckOthersRead(manifest).ok());
    manifest.weight_format = WeightFormat::kInt8;
    EXPECT_TRUE(absl::IsUnimplemented(CheckOthersRead(manifest)));
    EXPECT_THAT(CheckOthersRead(manifest).message(), HasSubstr("8-bit"));
    if (family == Family::kGpt2) continue;
    manifest.weight_format = WeightFormat::kFloat;
    manifest.blueprint.ffn = FfnKind::kPlain;
    EXPECT_TRUE(absl::IsUnimplemented(CheckOthersRead(manifest)));
    EXPECT_THAT(CheckOthersRead(manifest).message(),
                HasSubstr(absl::StrCat(AbslView(FamilyName(family)), " with a plain FFN")));
  }
}

}  // namespace
}  // namespace floe::model
