// floe.registry.v1.BlobService: streams of bytes in and out, never a whole blob in memory.
#pragma once

#include "floe/registry/v1/registry.grpc.pb.h"
#include "registry/blob_access.h"
#include "services/runtime/call.h"

namespace floe::registry {

inline constexpr size_t kMaxChunkBytes = 1 << 20;

// Thread-safe. Borrows its parts. A stream that meets the drain ends with UNAVAILABLE: uploads are
// sent again, downloads go on at their offset.
class BlobRpc final : public v1::BlobService::Service {
 public:
  BlobRpc(runtime::Calls& calls, BlobAccess& blobs) : calls_(calls), blobs_(blobs) {}

  grpc::Status UploadBlob(grpc::ServerContext* context,
                          grpc::ServerReader<v1::UploadBlobRequest>* reader,
                          v1::Blob* answer) override;
  grpc::Status DownloadBlob(grpc::ServerContext* context, const v1::DownloadBlobRequest* request,
                            grpc::ServerWriter<v1::DownloadBlobResponse>* writer) override;
  grpc::Status GetBlob(grpc::ServerContext* context, const v1::GetBlobRequest* request,
                       v1::Blob* answer) override;
  grpc::Status VerifyBlob(grpc::ServerContext* context, const v1::VerifyBlobRequest* request,
                          v1::Blob* answer) override;

 private:
  runtime::Calls& calls_;
  BlobAccess& blobs_;
};

}  // namespace floe::registry
