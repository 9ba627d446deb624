#include "services/inference/blob_source.h"

#include <fstream>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "base/status_macros.h"
#include "base/view.h"
#include "floe/registry/v1/registry.grpc.pb.h"
#include "registry/blobs/layout.h"
#include "services/runtime/status.h"

namespace floe::inference {
namespace {

namespace rpc = floe::registry::v1;

class FolderBlobSource final : public BlobSource {
 public:
  explicit FolderBlobSource(std::filesystem::path folder) : folder_(std::move(folder)) {}

  absl::Status Fetch(std::string_view digest, const std::filesystem::path& to) override {
    const std::filesystem::path blob = registry::BlobPath(folder_, digest);
    std::error_code error;
    if (!std::filesystem::is_regular_file(blob, error)) {
      return absl::NotFoundError(
          absl::StrCat("no blob ", blob.string(), "; check --blob-dir and the version's digest"));
    }
    std::filesystem::create_symlink(std::filesystem::absolute(blob), to, error);
    if (error) {
      return absl::UnavailableError(absl::StrCat("cannot link ", blob.string(), " to ", to.string(),
                                                 ": ", error.message(), "; check --cache-dir"));
    }
    return absl::OkStatus();
  }

 private:
  const std::filesystem::path folder_;
};

class RegistryBlobSource final : public BlobSource {
 public:
  RegistryBlobSource(std::shared_ptr<grpc::Channel> registry, absl::Duration at_most)
      : blobs_(rpc::BlobService::NewStub(std::move(registry))), at_most_(at_most) {}

  absl::Status Fetch(std::string_view digest, const std::filesystem::path& to) override {
    std::ofstream file(to, std::ios::binary);
    int64_t offset = 0;
    const absl::Time deadline = absl::Now() + at_most_;
    FLOE_RETURN_IF_ERROR(runtime::RetryIdempotent(
        {}, deadline, [&] { return Download(digest, deadline, to, &offset, file); }));
    file.close();
    return file ? absl::OkStatus() : CannotWrite(to);
  }

 private:
  static absl::Status CannotWrite(const std::filesystem::path& to) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot write ", to.string(), "; make room under --cache-dir"));
  }

  // Goes on at `offset`, where an attempt before was cut off.
  absl::Status Download(std::string_view digest, absl::Time deadline,
                        const std::filesystem::path& to, int64_t* offset, std::ofstream& file) {
    grpc::ClientContext context;
    runtime::PrepareCall(context,
                         runtime::OutgoingCall::Own(absl::StrCat("blob-", AbslView(digest)),
                                                    deadline - absl::Now()));
    rpc::DownloadBlobRequest request;
    request.set_digest(std::string(digest));
    request.set_offset(*offset);
    const auto stream = blobs_->DownloadBlob(&context, request);
    rpc::DownloadBlobResponse piece;
    while (stream->Read(&piece)) {
      file.write(piece.chunk().data(), static_cast<std::streamsize>(piece.chunk().size()));
      if (!file) {
        context.TryCancel();  // a full disk: the rest is not worth sending
        return CannotWrite(to);
      }
      *offset += static_cast<int64_t>(piece.chunk().size());
    }
    return runtime::FromGrpcStatus(stream->Finish());
  }

  const std::unique_ptr<rpc::BlobService::Stub> blobs_;
  const absl::Duration at_most_;
};

}  // namespace

std::unique_ptr<BlobSource> MakeFolderBlobSource(std::filesystem::path folder) {
  return std::make_unique<FolderBlobSource>(std::move(folder));
}

std::unique_ptr<BlobSource> MakeRegistryBlobSource(std::shared_ptr<grpc::Channel> registry,
                                                   absl::Duration at_most) {
  return std::make_unique<RegistryBlobSource>(std::move(registry), at_most);
}

}  // namespace floe::inference
