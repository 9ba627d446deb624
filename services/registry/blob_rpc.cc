#include "services/registry/blob_rpc.h"

#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "services/registry/caller_of.h"
#include "services/registry/convert.h"

namespace floe::registry {
namespace {

using runtime::CallContext;
using runtime::CallKind;

absl::Status Going(const CallContext& call) {
  if (call.draining()) {
    return absl::UnavailableError("the registry is shutting down; try again in a moment");
  }
  if (call.cancelled()) return absl::CancelledError("the call was cancelled or its time is up");
  return absl::OkStatus();
}

// The next chunk of an upload; false when the client has sent everything.
absl::StatusOr<bool> NextChunk(const CallContext& call,
                               grpc::ServerReader<v1::UploadBlobRequest>& reader,
                               std::string& piece) {
  v1::UploadBlobRequest message;
  if (!reader.Read(&message)) {
    // A client that went away looks like one that is done.
    if (call.cancelled())
      return absl::CancelledError("the upload was broken off; nothing was kept");
    return false;
  }
  FLOE_RETURN_IF_ERROR(Going(call));
  if (!message.has_chunk()) {
    return absl::InvalidArgumentError(
        "only the first message of an upload carries info; send chunks");
  }
  if (message.chunk().size() > kMaxChunkBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a chunk has ", message.chunk().size(),
                                                   " bytes; send at most ", kMaxChunkBytes));
  }
  piece = std::move(*message.mutable_chunk());
  return true;
}

}  // namespace

grpc::Status BlobRpc::UploadBlob(grpc::ServerContext* context,
                                 grpc::ServerReader<v1::UploadBlobRequest>* reader,
                                 v1::Blob* answer) {
  const auto body = [&](CallContext& call) -> absl::Status {
    v1::UploadBlobRequest first;
    if (!reader->Read(&first) || !first.has_info()) {
      return absl::InvalidArgumentError(
          "an upload begins with a message that carries info: the digest, and the size when known");
    }
    FLOE_ASSIGN_OR_RETURN(
        const Blob blob,
        blobs_.Store(CallerOf(call), {first.info().digest(), first.info().size_bytes()},
                     [&](std::string& piece) { return NextChunk(call, *reader, piece); }));
    *answer = ToProto(blob);
    return absl::OkStatus();
  };
  return calls_.Run(*context, "registry.UploadBlob", body, CallKind::kStream);
}

grpc::Status BlobRpc::DownloadBlob(grpc::ServerContext* context,
                                   const v1::DownloadBlobRequest* request,
                                   grpc::ServerWriter<v1::DownloadBlobResponse>* writer) {
  const auto body = [&](CallContext& call) -> absl::Status {
    v1::DownloadBlobResponse message;
    const auto send = [&](std::string_view piece) -> absl::Status {
      FLOE_RETURN_IF_ERROR(Going(call));
      message.set_chunk(piece.data(), piece.size());
      if (writer->Write(message)) return absl::OkStatus();
      return absl::CancelledError("the client went away");
    };
    return blobs_.Read(CallerOf(call), request->digest(), request->offset(), send);
  };
  return calls_.Run(*context, "registry.DownloadBlob", body, CallKind::kStream);
}

grpc::Status BlobRpc::GetBlob(grpc::ServerContext* context, const v1::GetBlobRequest* request,
                              v1::Blob* answer) {
  return calls_.Run(*context, "registry.GetBlob", [&](CallContext& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const Blob blob, blobs_.Get(CallerOf(call), request->digest()));
    *answer = ToProto(blob);
    return absl::OkStatus();
  });
}

grpc::Status BlobRpc::VerifyBlob(grpc::ServerContext* context, const v1::VerifyBlobRequest* request,
                                 v1::Blob* answer) {
  return calls_.Run(*context, "registry.VerifyBlob", [&](CallContext& call) -> absl::Status {
    FLOE_ASSIGN_OR_RETURN(const Blob blob, blobs_.Verify(CallerOf(call), request->digest(),
                                                         [&] { return Going(call); }));
    *answer = ToProto(blob);
    return absl::OkStatus();
  });
}

}  // namespace floe::registry
