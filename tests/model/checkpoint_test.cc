#include "model/checkpoint.h"

#include <sys/stat.h>

#include <chrono>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "base/sha256.h"
#include "tests/model/samples.h"
#include "tests/support/temp_dir.h"

namespace floe::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr Family kFamilies[] = {Family::kQwen3, Family::kLlama, Family::kQwen2, Family::kGpt2};

std::vector<std::string> NamesIn(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

class CheckpointTest : public testing::Test {
 protected:
  CheckpointContents Contents(Family family = Family::kQwen3) {
    tensors_.emplace_back(SmallBlueprint(family));
    return {SmallBlueprint(family), {}, tensors_.back().Named(), {}};
  }
  std::string Write(const CheckpointContents& contents) {
    const auto digest = WriteCheckpoint(folder_ / "c", contents);
    EXPECT_TRUE(digest.ok()) << digest.status();
    return digest.value_or("");
  }
  absl::Status Opened(bool verify = true) {
    return Checkpoint::Open(folder_ / "c", verify).status();
  }
  // Rewrites the manifest so that it lists `name` as it now is on disk.
  void Relist(const std::string& name) {
    Manifest manifest = *Manifest::Parse(*ReadFile(folder_ / "c/floe.json"));
    const std::string bytes = *ReadFile(folder_ / ("c/" + name));
    manifest.files[name] = {Sha256::Hex(bytes), bytes.size()};
    folder_.Write("c/floe.json", manifest.Serialize());
  }

  test::TempDir folder_;
  std::vector<SmallTensors> tensors_;
};

TEST_F(CheckpointTest, EveryFamilyIsWrittenAndOpened) {
  for (const Family family : kFamilies) {
    CheckpointContents contents = Contents(family);
    contents.parents.dataset = std::string(64, 'd');
    const std::string digest = Write(contents);
    const auto checkpoint = Checkpoint::Open(folder_ / "c");
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    EXPECT_EQ(checkpoint->digest(), digest);
    EXPECT_EQ(checkpoint->blueprint(), contents.blueprint);
    EXPECT_EQ(checkpoint->manifest().parents, contents.parents);
    for (const NamedTensor& named : contents.tensors) {
      const auto view = checkpoint->Tensor(named.name);
      ASSERT_TRUE(view.ok()) << view.status();
      EXPECT_EQ(view->shape, named.tensor.shape);
      EXPECT_EQ(view->bytes, named.tensor.bytes);
    }
    std::filesystem::remove_all(folder_ / "c");
  }
}

TEST_F(CheckpointTest, IsAHuggingFaceFolderAndAManifest) {
  CheckpointContents contents = Contents();
  contents.tokenizer_files["tokenizer.json"] =
      R"({"added_tokens": [{"id": 7, "content": "<|endoftext|>"}, {"id": 9, "content": "<|im_end|>"}]})";
  contents.tokenizer_files["tokenizer_config.json"] = R"({"eos_token": "<|im_end|>"})";
  Write(contents);
  EXPECT_THAT(NamesIn(folder_ / "c"),
              UnorderedElementsAre("config.json", "floe.json", "generation_config.json",
                                   "model.safetensors", "tokenizer.json", "tokenizer_config.json"));
  const auto generation = nlohmann::json::parse(*ReadFile(folder_ / "c/generation_config.json"));
  // The end of a turn and the end of a document: as the published Qwen models say it.
  EXPECT_EQ(generation["eos_token_id"], nlohmann::json({9, 7}));
  EXPECT_EQ(*ReadFile(folder_ / "c/config.json"), ConfigJson(contents.blueprint));
  EXPECT_EQ(Sha256::Hex(*ReadFile(folder_ / "c/floe.json")),
            Checkpoint::Open(folder_ / "c")->digest());
}

TEST_F(CheckpointTest, TheSameContentsHaveTheSameDigestWhereverTheyAre) {
  const CheckpointContents contents = Contents();
  const std::string first = Write(contents);
  EXPECT_EQ(*WriteCheckpoint(folder_ / "elsewhere", contents), first);
  CheckpointContents other = contents;
  other.parents.tokenizer = std::string(64, '1');
  EXPECT_NE(*WriteCheckpoint(folder_ / "other", other), first);
}

TEST_F(CheckpointTest, AFolderThatExistsIsNotOverwritten) {
  Write(Contents());
  const auto again = WriteCheckpoint(folder_ / "c", Contents(Family::kLlama));
  EXPECT_EQ(again.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Checkpoint::Open(folder_ / "c")->blueprint().family, Family::kQwen3);
  EXPECT_EQ(WriteCheckpoint(folder_ / "c/", Contents()).status().code(),
            absl::StatusCode::kAlreadyExists);
}

TEST_F(CheckpointTest, ATrailingSlashIsNoOtherFolder) {
  ASSERT_TRUE(WriteCheckpoint(folder_ / "slash/", Contents()).ok());
  EXPECT_TRUE(Checkpoint::Open(folder_ / "slash").ok());
  EXPECT_THAT(NamesIn(folder_.path()), ElementsAre("slash"));
}

TEST_F(CheckpointTest, ContentsThatDoNotFitTheBlueprintLeaveNothing) {
  const auto mistake = [&](const CheckpointContents& contents) {
    const auto digest = WriteCheckpoint(folder_ / "c", contents);
    EXPECT_EQ(digest.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(NamesIn(folder_.path()), IsEmpty());
    return std::string(digest.status().message());
  };
  CheckpointContents contents = Contents();
  contents.tensors.pop_back();
  EXPECT_THAT(mistake(contents), HasSubstr("model.norm.weight of [16] is missing"));
  contents = Contents();
  contents.tensors.push_back({"extra", contents.tensors.back().tensor});
  EXPECT_THAT(mistake(contents), HasSubstr("no tensor \"extra\""));
  contents = Contents();
  contents.tensors.back().tensor.shape = {4, 4};
  EXPECT_THAT(mistake(contents), HasSubstr("model.norm.weight is [4, 4]"));
  contents = Contents();
  contents.blueprint.num_kv_heads = 3;
  EXPECT_THAT(mistake(contents), HasSubstr("num_kv_heads is 3"));
  contents = Contents();
  contents.tokenizer_files["../tokenizer.json"] = "{}";
  EXPECT_THAT(mistake(contents), HasSubstr("files has the name"));
  contents = Contents();
  contents.tokenizer_files["config.json"] = "{}";
  EXPECT_THAT(mistake(contents), HasSubstr("config.json is written from the blueprint"));
  contents = Contents();
  contents.parents.dataset = "not a digest";
  EXPECT_THAT(mistake(contents), HasSubstr("parents has dataset"));
}

TEST_F(CheckpointTest, AFolderThatCannotBeMadeIsAnError) {
  const auto digest = WriteCheckpoint(folder_ / "no/such/c", Contents());
  EXPECT_EQ(digest.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(digest.status().message()), HasSubstr("no/such"));
}

TEST_F(CheckpointTest, AChangedByteIsDataLossThatNamesTheFile) {
  Write(Contents());
  const std::string weights = *ReadFile(folder_ / "c/model.safetensors");
  std::string changed = weights;
  changed.back() ^= 1;
  folder_.Write("c/model.safetensors", changed);
  EXPECT_EQ(Opened().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(Opened().message()), HasSubstr("model.safetensors has the SHA-256"));
  EXPECT_TRUE(Opened(/*verify=*/false).ok());
  folder_.Write("c/model.safetensors", weights.substr(0, weights.size() - 4));
  EXPECT_EQ(Opened().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Opened(/*verify=*/false).code(), absl::StatusCode::kInvalidArgument) << "cut off";
  std::filesystem::remove(folder_ / "c/model.safetensors");
  EXPECT_EQ(Opened().code(), absl::StatusCode::kDataLoss);
}

TEST_F(CheckpointTest, WeightsThatAreCutShortWhileTheyAreVerifiedAreDataLossThatNamesThem) {
  Write(Contents());
  const std::filesystem::path file = folder_ / "c/model.safetensors";
  const std::string weights = *ReadFile(file);
  for (const size_t size : {size_t{0}, size_t{100}, weights.size() - 1}) {
    folder_.Write("c/model.safetensors", weights);
    const auto checkpoint = Checkpoint::Open(folder_ / "c");
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    std::filesystem::resize_file(file, size);
    const absl::Status status = checkpoint->Verify();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(file.string()));
  }
  folder_.Write("c/model.safetensors", weights);
  const auto checkpoint = Checkpoint::Open(folder_ / "c");
  ASSERT_TRUE(checkpoint.ok()) << "it is whole again";
  const TensorView tensor = *checkpoint->Tensor("model.embed_tokens.weight");
  EXPECT_EQ(checkpoint->Floats(tensor).value(), tensor.ToFloats());
  std::filesystem::resize_file(file, 0);
  EXPECT_EQ(checkpoint->Floats(tensor).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(CheckpointTest, VerifiesTheWeightsThatItReadsWhateverHasTheirName) {
  Write(Contents());
  const std::filesystem::path file = folder_ / "c/model.safetensors";
  const std::string weights = *ReadFile(file);
  std::string changed = weights;
  changed.back() ^= 1;
  const Checkpoint right = *Checkpoint::Open(folder_ / "c");
  std::filesystem::rename(folder_.Write("changed", changed), file);
  const Checkpoint wrong = *Checkpoint::Open(folder_ / "c", /*verify=*/false);
  std::filesystem::rename(folder_.Write("mended", weights), file);
  EXPECT_TRUE(right.Verify().ok());
  EXPECT_EQ(wrong.Verify().code(), absl::StatusCode::kDataLoss);
}

TEST_F(CheckpointTest, TellsWhenWeightsWereWrittenToEvenIfTheyAreRightAgain) {
  Write(Contents());
  const std::filesystem::path file = folder_ / "c/model.safetensors";
  const std::string weights = *ReadFile(file);
  std::filesystem::last_write_time(
      file, std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
  const Checkpoint checkpoint = *Checkpoint::Open(folder_ / "c");
  EXPECT_TRUE(checkpoint.CheckUnchanged().ok());
  folder_.Write("c/model.safetensors", weights);
  EXPECT_TRUE(checkpoint.Verify().ok());
  EXPECT_EQ(checkpoint.CheckUnchanged().code(), absl::StatusCode::kUnavailable);
}

TEST_F(CheckpointTest, GivesItsOtherFilesAsTheManifestKnowsThemOnly) {
  CheckpointContents contents = Contents();
  contents.tokenizer_files = {{"tokenizer.json", "{}"}};
  Write(contents);
  const Checkpoint checkpoint = *Checkpoint::Open(folder_ / "c");
  EXPECT_EQ(checkpoint.File("tokenizer.json").value(), "{}");
  folder_.Write("c/tokenizer.json", "[]");
  EXPECT_EQ(checkpoint.File("tokenizer.json").status().code(), absl::StatusCode::kDataLoss);
  std::filesystem::remove(folder_ / "c/tokenizer.json");
  EXPECT_EQ(checkpoint.File("tokenizer.json").status().code(), absl::StatusCode::kDataLoss);
  folder_.Write("c/extra.json", "{}");
  EXPECT_EQ(checkpoint.File("extra.json").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(CheckpointTest, WithoutAManifestItIsNoCheckpoint) {
  Write(Contents());
  std::filesystem::remove(folder_ / "c/floe.json");
  EXPECT_EQ(Opened().code(), absl::StatusCode::kNotFound);
  folder_.Write("c/floe.json", "{}");
  EXPECT_EQ(Opened().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(CheckpointTest, AConfigOfAnotherModelIsRefused) {
  Write(Contents());
  Blueprint other = SmallBlueprint(Family::kQwen3);
  other.rope_theta = 5e5;
  folder_.Write("c/config.json", ConfigJson(other));
  Relist("config.json");
  EXPECT_EQ(Opened().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(Opened().message()), HasSubstr("describes another model"));
  other = SmallBlueprint(Family::kQwen3);
  other.rope_scaling = {.kind = RopeScalingKind::kLinear, .factor = 2};
  folder_.Write("c/config.json", ConfigJson(other));
  Relist("config.json");
  EXPECT_THAT(std::string(Opened().message()), HasSubstr("describes another model"));
}

TEST_F(CheckpointTest, WeightsOfAnotherModelAreRefused) {
  Write(Contents());
  const SmallTensors llama(SmallBlueprint(Family::kLlama));
  ASSERT_TRUE(WriteSafetensors(folder_ / "c/model.safetensors", llama.Named()).ok());
  Relist("model.safetensors");
  EXPECT_EQ(Opened().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(Opened().message()), HasSubstr("q_norm.weight"));
}

// The same family with one dial turned; the file itself is sound, and listed with its digest.
TEST_F(CheckpointTest, WeightsOfAnotherBlueprintAreRefusedWithTheTensorThatTellsIt) {
  Write(Contents());
  const auto refusal = [&](int64_t Blueprint::*dial, int64_t value) {
    Blueprint other = SmallBlueprint(Family::kQwen3);
    other.*dial = value;
    const SmallTensors tensors(other);
    EXPECT_TRUE(WriteSafetensors(folder_ / "c/model.safetensors", tensors.Named()).ok());
    Relist("model.safetensors");
    EXPECT_EQ(Opened().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(Opened(/*verify=*/false), Opened());
    EXPECT_THAT(std::string(Opened().message()),
                HasSubstr("the weights are of another blueprint than floe.json says"));
    return std::string(Opened().message());
  };
  EXPECT_THAT(
      refusal(&Blueprint::vocab_size, 40),
      HasSubstr("model.embed_tokens.weight is [40, 16], but the blueprint makes it [32, 16]"));
  EXPECT_THAT(refusal(&Blueprint::ffn_hidden, 32), HasSubstr("gate_proj.weight is [32, 16]"));
  EXPECT_THAT(refusal(&Blueprint::num_layers, 1),
              HasSubstr("model.layers.1.input_layernorm.weight of [16] is missing"));
  EXPECT_THAT(refusal(&Blueprint::num_layers, 3), HasSubstr("no tensor \"model.layers.2."));
  EXPECT_THAT(refusal(&Blueprint::num_kv_heads, 4), HasSubstr("k_proj.weight is [16, 16]"));
}

// The dials of floe.json are not believed either: they must be those of its own config.json.
TEST_F(CheckpointTest, AManifestOfAnotherBlueprintIsRefused) {
  Write(Contents());
  Manifest manifest = *Manifest::Parse(*ReadFile(folder_ / "c/floe.json"));
  manifest.blueprint.num_layers = 3;
  folder_.Write("c/floe.json", manifest.Serialize());
  EXPECT_EQ(Opened().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(Opened().message()), HasSubstr("config.json describes another model"));
  EXPECT_THAT(std::string(Opened(/*verify=*/false).message()), HasSubstr("model.layers.2."));
}

TEST_F(CheckpointTest, AnUnknownTensorIsNotFound) {
  Write(Contents());
  const auto view = Checkpoint::Open(folder_ / "c")->Tensor("model.layers.9.mlp");
  EXPECT_EQ(view.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(view.status().message()), HasSubstr("model.layers.9.mlp"));
}

TEST_F(CheckpointTest, OthersMayReadWhatWasWritten) {
  Write(Contents());
  struct stat info;
  ASSERT_EQ(::stat((folder_ / "c").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0755u);
}

}  // namespace
}  // namespace floe::model
