// RegistryClient against the real services.
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "base/files.h"
#include "base/sha256.h"
#include "services/registry/client/checkpoint_transfer.h"
#include "tests/services/registry/registry_fixture.h"

namespace floe::registry {
namespace {

using testing::HasSubstr;

class RegistryClientTest : public RegistryTest {
 protected:
  // A folder with a checkpoint's files and manifest.
  std::filesystem::path WriteCheckpoint(const std::string& weights) {
    const std::map<std::string, std::string> files = {{"config.json", "{}"},
                                                      {"model.safetensors", weights}};
    for (const auto& [name, bytes] : files) dir_.Write("checkpoint/" + name, bytes);
    dir_.Write("checkpoint/floe.json", ManifestOf(files).Serialize());
    return dir_ / "checkpoint";
  }
};

TEST_F(RegistryClientTest, FilesGoUpAndComeDownVerifiedWithProgress) {
  const std::string bytes(3 << 20, 'x');
  const auto file = dir_.Write("corpus.txt", bytes);
  std::vector<int64_t> seen;
  const auto blob = client_->UploadFile(As("nlp"), file, [&](int64_t done, int64_t total) {
    EXPECT_EQ(total, 3 << 20);
    seen.push_back(done);
  });
  ASSERT_TRUE(blob.ok()) << blob.status();
  EXPECT_EQ(blob->digest(), Sha256::Hex(bytes));
  EXPECT_EQ(seen.back(), 3 << 20);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  ASSERT_TRUE(client_->DownloadFile(As("nlp"), blob->digest(), dir_ / "back.txt").ok());
  EXPECT_TRUE(*ReadFile(dir_ / "back.txt") == bytes);
}

TEST_F(RegistryClientTest, ALargeFileThatIsThereAlreadyIsAnsweredInTheMiddleOfSending) {
  const auto file = dir_.Write("large", std::string(24 << 20, 'z'));
  const auto first = client_->UploadFile(As("nlp"), file);
  ASSERT_TRUE(first.ok()) << first.status();
  const auto again = client_->UploadFile(As("nlp"), file);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->SerializeAsString(), first->SerializeAsString());
  EXPECT_EQ(StoredFiles(), 1);
}

TEST_F(RegistryClientTest, AMissingFileIsNamed) {
  const auto blob = client_->UploadFile(As("nlp"), dir_ / "nowhere.txt");
  EXPECT_EQ(blob.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(blob.status().message()), HasSubstr("nowhere.txt"));
}

TEST_F(RegistryClientTest, AFailedDownloadLeavesNoFile) {
  const std::string digest = Upload(std::string(2 << 20, 'y'));
  Damage(digest);
  EXPECT_EQ(client_->DownloadFile(As("nlp"), digest, dir_ / "back").code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(client_->DownloadFile(As("vision"), digest, dir_ / "back").code(),
            absl::StatusCode::kNotFound);
  for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
    EXPECT_THAT(entry.path().filename().string(), testing::Not(HasSubstr("back")));
  }
}

TEST_F(RegistryClientTest, BytesAboveTheLimitAreRefused) {
  const std::string digest = Upload("eight by");
  EXPECT_EQ(*client_->DownloadBytes(As("nlp"), digest, 8), "eight by");
  EXPECT_EQ(client_->DownloadBytes(As("nlp"), digest, 7).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST_F(RegistryClientTest, DecorateReachesEveryCall) {
  RegistryClient anonymous(channel_, [](grpc::ClientContext& context) {
    context.AddMetadata(runtime::kTeamKey, "vision");
  });
  const auto call = runtime::OutgoingCall::Own("test", absl::Minutes(1));
  const auto blob = anonymous.UploadBytes(call, "bytes");
  ASSERT_TRUE(blob.ok()) << blob.status();
  EXPECT_TRUE(client_->GetBlob(As("vision"), blob->digest()).ok());
}

TEST_F(RegistryClientTest, ACheckpointGoesUpAndComesBackFileByFile) {
  const auto folder = WriteCheckpoint("weights");
  std::vector<int64_t> seen;
  Evidence evidence;
  evidence.job = "trainer-1";
  evidence.metrics = {{"held_out_loss", 2.5}};
  const auto version =
      PublishCheckpoint(*client_, As("nlp"), "teams/nlp/models/hamlet", folder, evidence,
                        [&](int64_t done, int64_t) { seen.push_back(done); });
  ASSERT_TRUE(version.ok()) << version.status();
  EXPECT_EQ(version->name(), "teams/nlp/models/hamlet/versions/1");
  EXPECT_EQ(version->lineage().job(), "trainer-1");
  EXPECT_EQ(version->metrics().at("held_out_loss"), 2.5);
  EXPECT_EQ(seen.back(), 9);
  // A runner that comes back after a crash publishes again.
  const auto again =
      PublishCheckpoint(*client_, As("nlp"), "teams/nlp/models/hamlet", folder, evidence);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->name(), version->name());

  ASSERT_TRUE(DownloadCheckpoint(*client_, As("nlp"), *version, dir_ / "exported").ok());
  for (const char* name : {"config.json", "model.safetensors", "floe.json"}) {
    EXPECT_EQ(*ReadFile(dir_ / "exported" / name), *ReadFile(folder / name)) << name;
  }
  EXPECT_EQ(DownloadCheckpoint(*client_, As("nlp"), *version, dir_ / "exported").code(),
            absl::StatusCode::kAlreadyExists);
}

TEST_F(RegistryClientTest, AFileThatChangedAfterTheManifestIsNotPublished) {
  const auto folder = WriteCheckpoint("weights");
  dir_.Write("checkpoint/model.safetensors", "Weights");
  const auto version =
      PublishCheckpoint(*client_, As("nlp"), "teams/nlp/models/hamlet", folder, {});
  EXPECT_EQ(version.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(version.status().message()), HasSubstr("model.safetensors"));
}

TEST_F(RegistryClientTest, AnExportWithADamagedFileLeavesNoFolder) {
  const auto version = PublishCheckpoint(*client_, As("nlp"), "teams/nlp/models/hamlet",
                                         WriteCheckpoint("weights"), {});
  ASSERT_TRUE(version.ok()) << version.status();
  Damage(Sha256::Hex("weights"));
  EXPECT_EQ(DownloadCheckpoint(*client_, As("nlp"), *version, dir_ / "exported").code(),
            absl::StatusCode::kDataLoss);
  for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
    EXPECT_THAT(entry.path().filename().string(), testing::Not(HasSubstr("exported")));
  }
}

}  // namespace
}  // namespace floe::registry
