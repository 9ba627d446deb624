// What collection removes and what it keeps, beside real uploads and publishing.
#include "registry/collect.h"

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "base/sha256.h"
#include "tests/services/registry/registry_fixture.h"

namespace floe::registry {
namespace {

using testing::UnorderedElementsAre;

class CollectTest : public RegistryTest {
 protected:
  CollectTest() {
    for (int i = 1; i <= 3; ++i) versions_.push_back(*Publish("hamlet", absl::StrCat("w", i)));
  }
  CollectReport Sweep(absl::Duration grace = absl::Hours(1), bool dry_run = false) {
    const auto report = Collect(*store_, *index_, clock_).Run({grace, dry_run});
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *report : CollectReport();
  }
  bool HasBlob(const std::string& digest) { return client_->GetBlob(As(""), digest).ok(); }

  std::vector<v1::ModelVersion> versions_;
};

TEST_F(CollectTest, CollectionKeepsWhatIsReferencedAndRecentAndRemovesTheRest) {
  const std::string orphan = Upload("never published");
  clock_.Advance(absl::Hours(2));
  const std::string recent = Upload("just sent");
  const int64_t files = StoredFiles();

  const CollectReport plan = Sweep(absl::Hours(1), true);
  ASSERT_EQ(plan.removed.size(), 1u);
  EXPECT_EQ(plan.removed[0].digest, orphan);
  EXPECT_EQ(plan.removed_bytes, 15);
  EXPECT_EQ(StoredFiles(), files);

  EXPECT_EQ(Sweep().removed.size(), 1u);
  EXPECT_EQ(StoredFiles(), files - 1);
  EXPECT_FALSE(HasBlob(orphan));
  EXPECT_TRUE(HasBlob(recent));
  for (const auto& version : versions_) {
    EXPECT_TRUE(client_->VerifyBlob(As("nlp"), version.digest()).ok());
    for (const auto& file : version.files()) {
      EXPECT_TRUE(client_->VerifyBlob(As("nlp"), file.digest()).ok()) << file.name();
    }
  }
  EXPECT_EQ(Sweep().removed.size(), 0u);
}

TEST_F(CollectTest, ADeletedVersionsOwnBlobsGoAndSharedOnesStay) {
  const std::string weights = Sha256::Hex("w1");
  const std::string config = Sha256::Hex("{}");
  ASSERT_TRUE(Delete(versions_[0].name()).ok());
  clock_.Advance(absl::Hours(2));
  std::vector<std::string> removed;
  for (const Blob& blob : Sweep().removed) removed.push_back(blob.digest);
  EXPECT_THAT(removed, UnorderedElementsAre(weights, versions_[0].digest()));
  EXPECT_TRUE(HasBlob(config));
}

TEST_F(CollectTest, SendingABlobAgainStartsItsGraceAnew) {
  const std::string digest = Upload("slow job");
  clock_.Advance(absl::Hours(2));
  EXPECT_EQ(Upload("slow job"), digest);
  EXPECT_EQ(Sweep().removed.size(), 0u);
  EXPECT_TRUE(HasBlob(digest));
}

TEST_F(CollectTest, CollectionRemovesFilesTheIndexDoesNotKnowAndRemainsOfUploads) {
  const std::string stray = Sha256::Hex("stray");
  std::filesystem::create_directories(BlobFile(stray).parent_path());
  dir_.Write("blobs/sha256/" + stray.substr(0, 2) + "/" + stray, "stray");
  dir_.Write("blobs/uploads/blob.tmp-crash", "half");
  // Files carry the machine's time.
  clock_.Advance(absl::Now() - clock_.Now() + absl::Hours(2));
  const CollectReport report = Sweep();
  ASSERT_EQ(report.removed.size(), 1u);
  EXPECT_EQ(report.removed[0].digest, stray);
  EXPECT_EQ(report.unfinished, 1);
  EXPECT_FALSE(std::filesystem::exists(BlobFile(stray)));
  EXPECT_TRUE(Unfinished().empty());
}

TEST_F(CollectTest, BesideUploadsAndPublishingNoVersionEverLosesABlob) {
  // Without any grace, collection takes what is not published yet; then publishing must fail.
  std::atomic<bool> done{false};
  std::thread collector([&] {
    while (!done) Sweep(absl::ZeroDuration());
  });
  int published = 0;
  for (int i = 0; i < 30; ++i) {
    clock_.Advance(absl::Seconds(1));
    const auto version = Publish("busy", absl::StrCat("weights ", i));
    if (!version.ok()) {
      EXPECT_EQ(version.status().code(), absl::StatusCode::kFailedPrecondition) << version.status();
      continue;
    }
    ++published;
    for (const auto& file : version->files()) {
      const auto verified = client_->VerifyBlob(As("nlp"), file.digest());
      EXPECT_TRUE(verified.ok()) << verified.status();
    }
    const auto manifest = client_->VerifyBlob(As("nlp"), version->digest());
    EXPECT_TRUE(manifest.ok()) << manifest.status();
  }
  done = true;
  collector.join();
  EXPECT_GT(published, 0);
}

TEST_F(CollectTest, ANegativeGraceIsRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(
      Collect(*store_, *index_, clock_).Run({-absl::Seconds(1), false}).status()));
}

}  // namespace
}  // namespace floe::registry
