// Blobs from a registry without a shared folder: whole, verified, or not there at all.
#include "services/inference/blob_source.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "base/files.h"
#include "base/sha256.h"
#include "floe/registry/v1/registry.grpc.pb.h"
#include "services/inference/node_cache.h"
#include "tests/support/temp_dir.h"

namespace floe::inference {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// Sends blobs in pieces of 1000 bytes, and can break off.
class FakeBlobs final : public registry::v1::BlobService::Service {
 public:
  grpc::Status DownloadBlob(
      grpc::ServerContext*, const registry::v1::DownloadBlobRequest* request,
      grpc::ServerWriter<registry::v1::DownloadBlobResponse>* writer) override {
    ++calls;
    const auto found = blobs.find(request->digest());
    if (found == blobs.end()) return {grpc::StatusCode::NOT_FOUND, "no blob " + request->digest()};
    const std::string& bytes = found->second;
    for (size_t at = request->offset(); at < bytes.size(); at += 1000) {
      if (cuts > 0 && at >= 5000) {
        --cuts;
        return {grpc::StatusCode::UNAVAILABLE, "restarting"};
      }
      registry::v1::DownloadBlobResponse piece;
      piece.set_chunk(bytes.substr(at, 1000));
      sent += static_cast<int64_t>(piece.chunk().size());
      writer->Write(piece);
    }
    return grpc::Status::OK;
  }

  std::map<std::string, std::string> blobs;
  std::atomic<int> cuts{0};  // how often to break off in the middle
  std::atomic<int> calls{0};
  std::atomic<int64_t> sent{0};
};

class BlobSourceTest : public testing::Test {
 protected:
  BlobSourceTest() {
    for (int i = 0; i < 20'000; ++i) bytes_ += static_cast<char>(i * 31 % 251);
    digest_ = Sha256::Hex(bytes_);
    blobs_.blobs[digest_] = bytes_;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&blobs_);
    server_ = builder.BuildAndStart();
    source_ = MakeRegistryBlobSource(
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", port_), grpc::InsecureChannelCredentials()),
        absl::Seconds(30));
  }

  test::TempDir dir_;
  FakeBlobs blobs_;
  std::string bytes_, digest_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<BlobSource> source_;
};

TEST_F(BlobSourceTest, ADownloadThatBreaksOffGoesOnWhereItWas) {
  blobs_.cuts = 1;
  ASSERT_TRUE(source_->Fetch(digest_, dir_ / "blob").ok());
  EXPECT_EQ(*ReadFile(dir_ / "blob"), bytes_);
  EXPECT_EQ(blobs_.calls, 2);
  EXPECT_EQ(blobs_.sent, static_cast<int64_t>(bytes_.size())) << "no byte is sent twice";
}

TEST_F(BlobSourceTest, WhatTheRegistryDoesNotHaveIsNotFound) {
  const absl::Status status = source_->Fetch(Sha256::Hex("other"), dir_ / "blob");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(blobs_.calls, 1) << "asking again does not help";
}

TEST_F(BlobSourceTest, ARegistryThatStaysAwayIsUnavailable) {
  server_->Shutdown();
  EXPECT_EQ(source_->Fetch(digest_, dir_ / "blob").code(), absl::StatusCode::kUnavailable);
}

TEST_F(BlobSourceTest, AFullDiskIsResourceExhausted) {
  const absl::Status status = source_->Fetch(digest_, "/dev/full");
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("--cache-dir"));
}

TEST_F(BlobSourceTest, BytesThatChangedOnTheirWayNeverReachTheCache) {
  blobs_.blobs[digest_][7] ^= 1;
  NodeCache cache(dir_ / "cache", std::move(source_));
  const auto folder = cache.Fetch(digest_);
  EXPECT_EQ(folder.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(folder.status().message()), HasSubstr(digest_));
  std::vector<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(dir_ / "cache")) {
    left.push_back(entry.path().filename());
  }
  EXPECT_THAT(left, IsEmpty()) << "nothing half-written stays";
}

}  // namespace
}  // namespace floe::inference
