#include "registry/blobs/folder_store.h"

#include <sys/stat.h>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/files.h"
#include "base/sha256.h"
#include "registry/blobs/layout.h"
#include "tests/support/temp_dir.h"

namespace floe::registry {
namespace {

class FolderStoreTest : public testing::Test {
 protected:
  FolderStoreTest() : store_(*FolderStore::Open(dir_ / "blobs")) {}

  Blob Put(const std::string& bytes) {
    auto writer = store_->Begin();
    EXPECT_TRUE((*writer)->Append(bytes).ok());
    const auto blob = (*writer)->Seal();
    EXPECT_TRUE(blob.ok()) << blob.status();
    EXPECT_TRUE((*writer)->Place().ok());
    return *blob;
  }
  absl::Status Read(const Blob& blob, int64_t offset, std::string& bytes) {
    bytes.clear();
    return store_->Read(blob, offset, [&](std::string_view piece) {
      bytes.append(piece);
      return absl::OkStatus();
    });
  }

  test::TempDir dir_;
  std::unique_ptr<FolderStore> store_;
};

TEST_F(FolderStoreTest, ABlobLiesWhereTheLayoutSaysReadOnly) {
  const Blob blob = Put("bytes");
  const auto path = dir_ / "blobs/sha256" / blob.digest.substr(0, 2) / blob.digest;
  EXPECT_EQ(BlobPath(dir_ / "blobs", blob.digest), path);
  EXPECT_EQ(*ReadFile(path), "bytes");
  struct stat info;
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0444u);
}

TEST_F(FolderStoreTest, NothingIsVisibleBeforeItIsPlaced) {
  auto writer = store_->Begin();
  ASSERT_TRUE((*writer)->Append("bytes").ok());
  const auto blob = (*writer)->Seal();
  ASSERT_TRUE(blob.ok()) << blob.status();
  EXPECT_TRUE(absl::IsNotFound(store_->Size(blob->digest).status()));
  ASSERT_TRUE((*writer)->Place().ok());
  ASSERT_TRUE((*writer)->Place().ok()) << "a transaction may be repeated";
  EXPECT_EQ(*store_->Size(blob->digest), 5);
}

TEST_F(FolderStoreTest, ReadsFromAnyOffset) {
  const std::string bytes = std::string(1 << 20, 'a') + std::string(1 << 20, 'b') + "end";
  const Blob blob = Put(bytes);
  std::string read;
  for (const size_t offset :
       {size_t{0}, size_t{5}, size_t{1} << 20, bytes.size() - 1, bytes.size()}) {
    ASSERT_TRUE(Read(blob, static_cast<int64_t>(offset), read).ok());
    EXPECT_TRUE(read == bytes.substr(offset)) << offset;
  }
}

TEST_F(FolderStoreTest, TheLastPieceIsHeldBackUntilAllBytesAreKnownToBeRight) {
  const Blob real = Put(std::string(3 << 20, 'a'));
  // The same length, one byte near the end changed.
  std::string changed(3 << 20, 'a');
  changed[(3 << 20) - 2] = 'b';
  std::filesystem::remove(BlobPath(dir_ / "blobs", real.digest));
  ASSERT_TRUE(WriteFileAtomically(BlobPath(dir_ / "blobs", real.digest), changed).ok());
  std::string read;
  const absl::Status status = Read(real, 0, read);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr(real.digest));
  EXPECT_EQ(read.size(), size_t{2} << 20);
}

TEST_F(FolderStoreTest, ASinkThatHasEnoughEndsTheReading) {
  const Blob blob = Put(std::string(3 << 20, 'a'));
  int pieces = 0;
  const absl::Status status = store_->Read(blob, 0, [&](std::string_view) {
    ++pieces;
    return absl::CancelledError("gone");
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(pieces, 1);
}

TEST_F(FolderStoreTest, VisitsBlobsOnlyAndRemovesThem) {
  const Blob one = Put("one");
  Put("two");
  dir_.Write("blobs/sha256/ab/README", "no blob");
  std::vector<std::string> seen;
  ASSERT_TRUE(store_
                  ->ForEach([&](const Blob& blob, absl::Time placed) {
                    EXPECT_EQ(blob.size_bytes, 3);
                    EXPECT_LE(placed, absl::Now());
                    seen.push_back(blob.digest);
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_THAT(seen, testing::UnorderedElementsAre(Sha256::Hex("one"), Sha256::Hex("two")));
  ASSERT_TRUE(store_->Remove(one.digest).ok());
  ASSERT_TRUE(store_->Remove(one.digest).ok()) << "gone already";
  EXPECT_TRUE(absl::IsNotFound(store_->Size(one.digest).status()));
}

TEST_F(FolderStoreTest, OldRemainsOfUploadsGoAndYoungOnesStay) {
  dir_.Write("blobs/uploads/blob.tmp-crash", "half");
  EXPECT_EQ(*store_->RemoveUnfinished(absl::Now() - absl::Hours(1)), 0);
  EXPECT_EQ(*store_->RemoveUnfinished(absl::Now() + absl::Hours(1)), 1);
}

TEST(FolderStoreOpenTest, SaysWhichFolderIsWrong) {
  EXPECT_THAT(std::string(FolderStore::Open("").status().message()),
              testing::HasSubstr("--blob-dir"));
  const test::TempDir dir;
  dir.Write("file", "");
  const auto store = FolderStore::Open(dir / "file/blobs");
  EXPECT_FALSE(store.ok());
  EXPECT_THAT(std::string(store.status().message()), testing::HasSubstr("file/blobs"));
}

}  // namespace
}  // namespace floe::registry
