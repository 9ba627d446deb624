#include <fstream>
#include <thread>

#include "base/files.h"
#include "model/checkpoint.h"
#include "tests/services/inference/worker_fixture.h"

namespace floe::inference {
namespace {

using testing::HasSubstr;

bool Never() { return false; }

// Flips one bit in the middle of a file.
void Damage(const std::filesystem::path& path) {
  auto bytes = ReadFile(path);
  ASSERT_TRUE(bytes.ok());
  (*bytes)[bytes->size() / 2] ^= 1;
  std::ofstream(path, std::ios::binary) << *bytes;
}

std::string DigestOf(const std::filesystem::path& manifest, const std::string& file) {
  return model::Manifest::Parse(*ReadFile(manifest))->files.at(file).digest;
}

TEST_F(WorkerTest, ConcurrentCallersShareOneLoad) {
  const std::string digest = Publish();
  Start();
  std::vector<std::shared_ptr<ServedModel>> models(6);
  std::vector<std::thread> threads;
  for (auto& model : models) {
    threads.emplace_back([&] { model = pool().Acquire(digest, Never).value_or(nullptr); });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_NE(models[0], nullptr);
  for (const auto& model : models) EXPECT_EQ(model, models[0]);
  EXPECT_EQ(models[0]->digest, digest);
  EXPECT_THAT(models[0]->end_ids, testing::Contains(kEndOfText));
}

TEST_F(WorkerTest, AChangedByteOfAnyFileIsDataLossThatNamesIt) {
  const std::string digest = Publish();
  Start();
  const std::string weights = DigestOf(BlobPath(digest), "model.safetensors");
  Damage(BlobPath(weights));
  const auto model = pool().Acquire(digest, Never);
  EXPECT_EQ(model.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(model.status().message()), HasSubstr("model.safetensors"));
  Damage(BlobPath(weights));  // the bit back
  EXPECT_TRUE(pool().Acquire(digest, Never).ok());
  const std::string other = Publish(0.4f);
  Damage(BlobPath(other));
  EXPECT_THAT(std::string(pool().Acquire(other, Never).status().message()), HasSubstr("floe.json"));
}

TEST_F(WorkerTest, AMissingCheckpointIsNotFoundAndMayComeLater) {
  const std::string digest = Publish();
  Start();
  const std::filesystem::path blob = BlobPath(digest);
  std::filesystem::rename(blob, dir_ / "away");
  EXPECT_EQ(pool().Acquire(digest, Never).status().code(), absl::StatusCode::kNotFound);
  std::filesystem::rename(dir_ / "away", blob);
  EXPECT_TRUE(pool().Acquire(digest, Never).ok());
}

TEST_F(WorkerTest, ADamagedCacheIsFetchedAnew) {
  const std::string digest = Publish();
  Start();
  const auto folder = cache().Fetch(digest);
  ASSERT_TRUE(folder.ok()) << folder.status();
  const auto bytes = ReadFile(*folder / "config.json");
  std::filesystem::remove(*folder / "config.json");
  std::ofstream(*folder / "config.json") << "{}";
  ASSERT_TRUE(cache().Fetch(digest).ok());
  EXPECT_EQ(*ReadFile(*folder / "config.json"), *bytes);
}

TEST_F(WorkerTest, WeightsThatChangedInTheCacheAreFetchedAnewBeforeTheyAreServed) {
  const std::string digest = Publish();
  Start();
  const auto folder = cache().Fetch(digest);
  ASSERT_TRUE(folder.ok()) << folder.status();
  const std::string right = *ReadFile(*folder / "model.safetensors");
  EXPECT_EQ(cache().Kept(digest), *folder);
  EXPECT_EQ(cache().Kept(std::string(64, '0')), std::nullopt);
  std::filesystem::remove(*folder / "model.safetensors");  // it shares its bytes with the blob
  std::ofstream(*folder / "model.safetensors", std::ios::binary) << right;
  Damage(*folder / "model.safetensors");
  EXPECT_EQ(VerifyCheckpointFolder(*folder, digest).code(), absl::StatusCode::kDataLoss);
  ASSERT_TRUE(pool().Acquire(digest, Never).ok());
  EXPECT_EQ(*ReadFile(*folder / "model.safetensors"), right);
  EXPECT_TRUE(VerifyCheckpointFolder(*folder, digest).ok());
}

TEST_F(WorkerTest, IdleModelsMakeRoomAndModelsInUseDoNot) {
  const std::string a = Publish(0.5f);
  const std::string b = Publish(0.4f);
  ModelPoolOptions options;
  options.memory_bytes = 7 << 20;  // one model with its KV cache of 4 MiB, not two
  Start(options);
  {
    const auto held = pool().Acquire(a, Never);
    ASSERT_TRUE(held.ok()) << held.status();
    const auto refused = pool().Acquire(b, Never);
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(std::string(refused.status().message()), HasSubstr("--memory-mib"));
  }
  ASSERT_TRUE(pool().Acquire(b, Never).ok());
  ASSERT_EQ(pool().Loaded().size(), 1u);
  EXPECT_EQ(pool().Loaded()[0]->digest, b);
}

TEST_F(WorkerTest, WhatWasUsedLongestAgoLeavesFirst) {
  const std::string a = Publish(0.5f), b = Publish(0.4f), c = Publish(0.3f), d = Publish(0.2f);
  Start();
  const int64_t bytes = (*pool().Acquire(a, Never))->bytes;
  ModelPoolOptions options;
  options.memory_bytes = 3 * bytes;
  Start(options);
  for (const std::string& digest : {a, b, c, a}) ASSERT_TRUE(pool().Acquire(digest, Never).ok());
  ASSERT_TRUE(pool().Acquire(d, Never).ok());
  std::vector<std::string> loaded;
  for (const auto& model : pool().Loaded()) loaded.push_back(model->digest);
  EXPECT_THAT(loaded, testing::UnorderedElementsAre(a, c, d));
}

TEST_F(WorkerTest, NoModelLeavesForOneThatHasNoRoomAllTheSame) {
  const std::string small = Publish(0.5f, 512, "", 1);
  const std::string large = Publish(0.5f, 512, "", 3);
  Start();
  ModelPoolOptions options;
  options.memory_bytes = (*pool().Acquire(small, Never))->bytes;
  Start(options);
  ASSERT_TRUE(pool().Acquire(small, Never).ok());
  EXPECT_EQ(pool().Acquire(large, Never).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(pool().Loaded().size(), 1u);
}

TEST_F(WorkerTest, ADraftModelGuessesForALargerOneOfItsTokenizer) {
  const std::string target = Publish(0.5f, 512, "", 3);
  const std::string draft = Publish(0.5f, 512, "", 1);
  const v1::GenerateRequest request = Ask(target, "a b c d e f", 60);
  Start();
  const Answer plain = Generate(request);
  const int64_t bytes = (*pool().Acquire(target, Never))->bytes;
  ModelPoolOptions options;
  options.serve.scheduler.speculation.max_draft = 4;
  options.drafts = {target, draft};
  std::vector<absl::Status> lost;
  options.on_lost_draft = [&](const absl::Status& status) { lost.push_back(status); };
  Start(options);
  const Answer guessed = Generate(request);
  EXPECT_EQ(guessed.ids, plain.ids);
  EXPECT_EQ(guessed.text, plain.text);
  const auto model = pool().Acquire(target, Never);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->draft, draft) << "no model guesses for itself";
  EXPECT_GT((*model)->bytes, bytes) << "its memory is counted";
  EXPECT_GT((*model)->scheduler->stats().drafted_tokens, 0);
  EXPECT_EQ((*pool().Acquire(draft, Never))->draft, "") << "nor a large one for a small one";
  EXPECT_THAT(lost, testing::IsEmpty());
}

TEST_F(WorkerTest, ALostDraftModelIsToldOfAndItsTargetServedWithout) {
  const std::string target = Publish(0.5f, 512, "", 3);
  const std::string draft = Publish(0.5f, 512, "", 1);
  std::filesystem::remove(BlobPath(draft));
  ModelPoolOptions options;
  options.serve.scheduler.speculation.max_draft = 4;
  options.drafts = {draft};
  std::vector<absl::Status> lost;
  options.on_lost_draft = [&](const absl::Status& status) { lost.push_back(status); };
  Start(options);
  EXPECT_TRUE(Generate(Ask(target, "a b c", 8)).status.ok());
  ASSERT_EQ(lost.size(), 1u);
  EXPECT_THAT(std::string(lost[0].message()), HasSubstr(draft));
}

}  // namespace
}  // namespace floe::inference
