// BlobService over a real channel: what is kept, who may read it, what happens to broken bytes.
#include <sys/resource.h>

#include <csignal>
#include <thread>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/sha256.h"
#include "tests/services/registry/registry_fixture.h"

namespace floe::registry {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kMiB = 1 << 20;

// Bytes that no two offsets share, in more than one piece.
std::string LargeBytes(int64_t size = 5 * kMiB / 2) {
  std::string bytes;
  bytes.reserve(static_cast<size_t>(size));
  for (int64_t i = 0; static_cast<int64_t>(bytes.size()) < size; ++i) {
    absl::StrAppend(&bytes, "line ", i, "\n");
  }
  bytes.resize(static_cast<size_t>(size));
  return bytes;
}

class BlobRpcTest : public RegistryTest {
 protected:
  // An upload by hand: `info`, then each chunk, then the end.
  absl::StatusOr<v1::Blob> Send(const std::string& digest, int64_t size,
                                const std::vector<std::string>& chunks,
                                const std::string& team = "nlp") {
    grpc::ClientContext context;
    runtime::PrepareCall(context, As(team));
    v1::Blob answer;
    const auto stream = blobs_->UploadBlob(&context, &answer);
    v1::UploadBlobRequest message;
    message.mutable_info()->set_digest(digest);
    message.mutable_info()->set_size_bytes(size);
    bool open = stream->Write(message);
    for (const std::string& chunk : chunks) {
      message.set_chunk(chunk);
      open = open && stream->Write(message);
    }
    stream->WritesDone();
    const absl::Status status = StatusOf(stream->Finish());
    if (!status.ok()) return status;
    return answer;
  }

  struct Received {
    std::string bytes;
    absl::Status status;
    size_t largest = 0;
  };
  Received Download(const std::string& digest, int64_t offset = 0,
                    const std::string& team = "nlp") {
    grpc::ClientContext context;
    runtime::PrepareCall(context, As(team));
    v1::DownloadBlobRequest request;
    request.set_digest(digest);
    request.set_offset(offset);
    const auto stream = blobs_->DownloadBlob(&context, request);
    Received received;
    v1::DownloadBlobResponse piece;
    while (stream->Read(&piece)) {
      received.bytes += piece.chunk();
      received.largest = std::max(received.largest, piece.chunk().size());
    }
    received.status = StatusOf(stream->Finish());
    return received;
  }
};

TEST_F(BlobRpcTest, BytesComeBackWholeAndFromAnyOffsetInPiecesOfAtMostOneMiB) {
  const std::string bytes = LargeBytes();
  const std::string digest = Upload(bytes);
  EXPECT_EQ(digest, Sha256::Hex(bytes));
  for (const int64_t offset : {int64_t{0}, int64_t{1}, kMiB, kMiB + 7, 5 * kMiB / 2}) {
    const Received received = Download(digest, offset);
    ASSERT_TRUE(received.status.ok()) << received.status;
    EXPECT_TRUE(received.bytes == bytes.substr(static_cast<size_t>(offset))) << offset;
    EXPECT_LE(received.largest, static_cast<size_t>(kMiB));
  }
  EXPECT_EQ(Download(digest, 5 * kMiB / 2 + 1).status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(Download(digest, -1).status.code(), absl::StatusCode::kOutOfRange);
  const auto blob = client_->GetBlob(As("nlp"), digest);
  ASSERT_TRUE(blob.ok()) << blob.status();
  EXPECT_EQ(blob->size_bytes(), 5 * kMiB / 2);
  EXPECT_THAT(Unfinished(), IsEmpty());
}

TEST_F(BlobRpcTest, AnEmptyBlobIsABlob) {
  const std::string digest = Upload("");
  const Received received = Download(digest);
  EXPECT_TRUE(received.status.ok()) << received.status;
  EXPECT_EQ(received.bytes, "");
}

TEST_F(BlobRpcTest, AWrongDigestKeepsNothing) {
  const std::string digest = Sha256::Hex("other bytes");
  const auto sent = Send(digest, 0, {"some ", "bytes"});
  EXPECT_EQ(sent.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(sent.status().message()), HasSubstr(digest));
  EXPECT_EQ(ReasonOf(sent.status())->reason, "DIGEST_MISMATCH");
  EXPECT_EQ(client_->GetBlob(As("nlp"), digest).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(StoredFiles(), 0);
  EXPECT_THAT(Unfinished(), IsEmpty());
}

TEST_F(BlobRpcTest, NamesWhatIsWrongInAnUpload) {
  const std::string digest = Sha256::Hex("abc");
  EXPECT_THAT(std::string(Send("", 0, {"abc"}).status().message()), HasSubstr("info.digest"));
  EXPECT_THAT(std::string(Send("../../etc/passwd", 0, {"abc"}).status().message()),
              HasSubstr("info.digest"));
  EXPECT_THAT(std::string(Send(digest, 2, {"abc"}).status().message()), HasSubstr("more bytes"));
  EXPECT_THAT(std::string(Send(digest, 4, {"abc"}).status().message()),
              HasSubstr("size_bytes is 4"));
  const auto large = Send(digest, 0, {std::string(kMiB + 1, 'x')});
  EXPECT_EQ(large.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(large.status().message()), HasSubstr("1048577"));
  grpc::ClientContext context;
  runtime::PrepareCall(context, As("nlp"));
  v1::Blob answer;
  const auto stream = blobs_->UploadBlob(&context, &answer);
  stream->WritesDone();
  EXPECT_EQ(StatusOf(stream->Finish()).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(StoredFiles(), 0);
  EXPECT_THAT(Unfinished(), IsEmpty());
}

TEST_F(BlobRpcTest, ABrokenUploadLeavesNoFile) {
  const std::string bytes = LargeBytes();
  {
    grpc::ClientContext context;
    runtime::PrepareCall(context, As("nlp"));
    v1::Blob answer;
    const auto stream = blobs_->UploadBlob(&context, &answer);
    v1::UploadBlobRequest message;
    message.mutable_info()->set_digest(Sha256::Hex(bytes));
    ASSERT_TRUE(stream->Write(message));
    message.set_chunk(bytes.substr(0, kMiB));
    ASSERT_TRUE(stream->Write(message));
    context.TryCancel();
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  server_->Shutdown();  // returns when the handlers have ended
  server_->Wait();
  EXPECT_THAT(Unfinished(), IsEmpty());
  EXPECT_EQ(StoredFiles(), 0);
}

TEST_F(BlobRpcTest, IdenticalContentIsStoredOnceAndAnsweredAtOnceToItsOwnTeam) {
  const std::string digest = Upload("shared bytes");
  // Not a byte is sent: the team has proven before that it has them.
  const auto again = Send(digest, 0, {});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->size_bytes(), 12);
  Upload("shared bytes", "vision");
  EXPECT_EQ(StoredFiles(), 1);
}

TEST_F(BlobRpcTest, ADigestAloneGivesNoOtherTeamTheBytes) {
  const std::string digest = Upload("secret corpus");
  EXPECT_EQ(client_->GetBlob(As("vision"), digest).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Download(digest, 0, "vision").status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(client_->VerifyBlob(As("vision"), digest).status().code(), absl::StatusCode::kNotFound);
  // Announcing it without its bytes grants nothing.
  EXPECT_EQ(Send(digest, 0, {}, "vision").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Send(digest, 0, {"wrong bytes"}, "vision").status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(client_->GetBlob(As("vision"), digest).status().code(), absl::StatusCode::kNotFound);
  // Nor does holding it in a resource.
  v1::CreateDatasetRequest request;
  request.set_parent("teams/vision");
  request.set_dataset_id("stolen");
  request.mutable_dataset()->set_digest(digest);
  request.mutable_dataset()->set_format("text");
  EXPECT_EQ(client_->CreateDataset(As("vision"), request).status().code(),
            absl::StatusCode::kFailedPrecondition);
  // Its bytes do.
  ASSERT_TRUE(Send(digest, 0, {"secret ", "corpus"}, "vision").ok());
  EXPECT_EQ(Download(digest, 0, "vision").bytes, "secret corpus");
}

TEST_F(BlobRpcTest, AServiceOfTheFleetReadsEveryTeamsBlobs) {
  const std::string digest = Upload("bytes");
  EXPECT_EQ(Download(digest, 0, "").bytes, "bytes");
  EXPECT_TRUE(client_->VerifyBlob(As(""), digest).ok());
}

TEST_F(BlobRpcTest, ChangedBytesAreDataLossWithTheBlobsNameAndNeverArriveWhole) {
  const std::string bytes = LargeBytes();
  const std::string digest = Upload(bytes);
  Damage(digest);
  const Received received = Download(digest);
  EXPECT_EQ(received.status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(received.status.message()), HasSubstr(digest));
  EXPECT_LT(received.bytes.size(), bytes.size());
  // Also for those who begin behind the change.
  EXPECT_EQ(Download(digest, 2 * kMiB).status.code(), absl::StatusCode::kDataLoss);
  const auto verified = client_->VerifyBlob(As("nlp"), digest);
  EXPECT_EQ(verified.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ReasonOf(verified.status())->metadata.at("digest"), digest);
}

TEST_F(BlobRpcTest, ALostOrShortenedFileIsDataLossToo) {
  const std::string lost = Upload("lost");
  std::filesystem::remove(BlobFile(lost));
  EXPECT_EQ(Download(lost).status.code(), absl::StatusCode::kDataLoss);
  const std::string shorter = Upload("shortened");
  std::filesystem::resize_file(BlobFile(shorter), 5);
  EXPECT_EQ(client_->VerifyBlob(As("nlp"), shorter).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(BlobRpcTest, UploadingADamagedBlobAgainHealsIt) {
  const std::string digest = Upload("precious");
  Damage(digest);
  ASSERT_EQ(client_->VerifyBlob(As("nlp"), digest).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Upload("precious"), digest);
  EXPECT_TRUE(client_->VerifyBlob(As("nlp"), digest).ok());
  EXPECT_EQ(Download(digest).bytes, "precious");
}

TEST_F(BlobRpcTest, AFullDiskIsResourceExhaustedAndKeepsNothing) {
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 1 << 16;  // as with ENOSPC, the write fails in the middle
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string bytes = LargeBytes();
  const auto sent = client_->UploadBytes(As("nlp"), bytes);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(sent.status().code(), absl::StatusCode::kResourceExhausted) << sent.status();
  EXPECT_THAT(std::string(sent.status().message()), HasSubstr("make room"));
  EXPECT_THAT(Unfinished(), IsEmpty());
  EXPECT_EQ(StoredFiles(), 0);
  EXPECT_EQ(Upload(bytes), Sha256::Hex(bytes));
}

TEST_F(BlobRpcTest, ManyUploadsOfOneBlobAtOnceAllSucceed) {
  const std::string bytes = LargeBytes(kMiB + 1);
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&, i] { Upload(bytes, absl::StrCat("team-", i % 3)); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(StoredFiles(), 1);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(client_->VerifyBlob(As(absl::StrCat("team-", i)), Sha256::Hex(bytes)).ok());
  }
  EXPECT_THAT(Unfinished(), IsEmpty());
}

}  // namespace
}  // namespace floe::registry
