#include "cli/door/blobs.h"

#include <algorithm>
#include <cerrno>
#include <fstream>

#include "absl/strings/str_cat.h"

#include "base/files.h"
#include "base/sha256.h"
#include "base/status_macros.h"

namespace floe::cli {
namespace {

constexpr size_t kPiece = 1 << 20;
constexpr absl::Duration kTransferTimeout = absl::Hours(6);

namespace pb = registry::v1;

absl::StatusOr<bool> IsStored(Door& door, const std::string& digest) {
  pb::GetBlobRequest request;
  request.set_digest(digest);
  const auto found = door.Ask(door.blobs(), &pb::BlobService::Stub::GetBlob, request);
  if (found.ok()) return true;
  if (absl::IsNotFound(found.status())) return false;
  return found.status();
}

}  // namespace

absl::StatusOr<bool> UploadBlob(Door& door, const std::string& digest, std::string_view bytes,
                                const OnBytes& on_bytes) {
  FLOE_ASSIGN_OR_RETURN(const bool stored, IsStored(door, digest));
  if (stored) return false;
  grpc::ClientContext context;
  door.Prepare(context, kTransferTimeout);
  pb::Blob answer;
  const auto writer = door.blobs().UploadBlob(&context, &answer);
  pb::UploadBlobRequest part;
  part.mutable_info()->set_digest(digest);
  part.mutable_info()->set_size_bytes(static_cast<int64_t>(bytes.size()));
  bool open = writer->Write(part);
  for (size_t at = 0; open && at < bytes.size(); at += kPiece) {
    const std::string_view piece = bytes.substr(at, kPiece);
    part.set_chunk(std::string(piece));
    open = writer->Write(part);
    if (open && on_bytes != nullptr) on_bytes(static_cast<int64_t>(piece.size()));
  }
  writer->WritesDone();
  FLOE_RETURN_IF_ERROR(door.StatusOf(writer->Finish()));
  return true;
}

absl::Status DownloadBlob(Door& door, const std::string& digest, const std::filesystem::path& path,
                          const OnBytes& on_bytes) {
  grpc::ClientContext context;
  door.Prepare(context, kTransferTimeout);
  pb::DownloadBlobRequest request;
  request.set_digest(digest);
  const auto reader = door.blobs().DownloadBlob(&context, request);
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  Sha256 hasher;
  pb::DownloadBlobResponse part;
  while (file && reader->Read(&part)) {
    hasher.Update(part.chunk());
    file.write(part.chunk().data(), static_cast<std::streamsize>(part.chunk().size()));
    if (on_bytes != nullptr) on_bytes(static_cast<int64_t>(part.chunk().size()));
  }
  const bool written = file.flush().good();
  const int error = errno;
  if (!written) context.TryCancel();
  absl::Status status = door.StatusOf(reader->Finish());
  if (!written) {
    status = ErrnoStatus(error, absl::StrCat("cannot write ", path.string()));
  } else if (status.ok() && hasher.FinishHex() != digest) {
    status = absl::DataLossError(absl::StrCat(
        "the bytes that came are not those of blob ", digest,
        "; `floe models verify` shows whether they are damaged where they are stored"));
  }
  if (!status.ok()) {
    std::error_code none;
    std::filesystem::remove(path, none);
  }
  return status;
}

}  // namespace floe::cli
