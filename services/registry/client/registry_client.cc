#include "services/registry/client/registry_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/file_reader.h"
#include "base/id.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "services/runtime/status.h"

namespace floe::registry {
namespace {

constexpr size_t kChunkBytes = 1 << 20;

std::string NewRequestId() {
  const SystemClock clock;
  return UlidGenerator(clock).Next();
}

absl::Status NotTheBlob(const std::string& digest, const std::string& actual) {
  return absl::DataLossError(absl::StrCat("blob ", digest, " arrived with SHA-256 ", actual,
                                          "; verify the registry's blob, then try again"));
}

}  // namespace

RegistryClient::RegistryClient(std::shared_ptr<grpc::Channel> channel, Decorate decorate)
    : registry_(v1::RegistryService::NewStub(channel)),
      blobs_(v1::BlobService::NewStub(channel)),
      decorate_(std::move(decorate)) {}

void RegistryClient::Prepare(grpc::ClientContext& context,
                             const runtime::OutgoingCall& call) const {
  runtime::PrepareCall(context, call);
  if (decorate_ != nullptr) decorate_(context);
}

template <typename Answer, typename Request, typename Stub>
absl::StatusOr<Answer> RegistryClient::Call(const runtime::OutgoingCall& call,
                                            const Request& request, Stub& stub,
                                            grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                                         const Request&, Answer*)) {
  return runtime::RetryIdempotent({}, call.deadline, [&]() -> absl::StatusOr<Answer> {
    grpc::ClientContext context;
    Prepare(context, call);
    Answer answer;
    FLOE_RETURN_IF_ERROR(runtime::FromGrpcStatus((stub.*method)(&context, request, &answer)));
    return answer;
  });
}

absl::StatusOr<v1::Blob> RegistryClient::Upload(const runtime::OutgoingCall& call,
                                                const v1::Blob& blob, ReadPiece read,
                                                const Progress& progress) {
  return runtime::RetryIdempotent({}, call.deadline, [&]() -> absl::StatusOr<v1::Blob> {
    grpc::ClientContext context;
    Prepare(context, call);
    v1::Blob answer;
    const auto stream = blobs_->UploadBlob(&context, &answer);
    v1::UploadBlobRequest piece;
    *piece.mutable_info() = blob;
    bool open = stream->Write(piece);
    int64_t sent = 0;
    absl::Status local;
    while (open && sent < blob.size_bytes()) {
      local = read(sent, *piece.mutable_chunk());
      if (!local.ok()) break;
      sent += static_cast<int64_t>(piece.chunk().size());
      // False: the registry has answered already, because it has the blob or refuses it.
      open = stream->Write(piece);
      if (open && progress != nullptr) progress(sent, blob.size_bytes());
    }
    if (!local.ok()) {
      context.TryCancel();
      stream->Finish();
      return local;
    }
    if (open) stream->WritesDone();
    FLOE_RETURN_IF_ERROR(runtime::FromGrpcStatus(stream->Finish()));
    if (progress != nullptr) progress(blob.size_bytes(), blob.size_bytes());
    return answer;
  });
}

absl::StatusOr<v1::Blob> RegistryClient::UploadFile(const runtime::OutgoingCall& call,
                                                    const std::filesystem::path& path,
                                                    const Progress& progress) {
  FLOE_ASSIGN_OR_RETURN(const FileReader file, FileReader::Open(path));
  FLOE_ASSIGN_OR_RETURN(const FileDigest digest, DigestOf(file));
  v1::Blob blob;
  blob.set_digest(digest.sha256);
  blob.set_size_bytes(digest.size);
  const auto read = [&](int64_t offset, std::string& chunk) -> absl::Status {
    const auto wanted = std::min<int64_t>(kChunkBytes, blob.size_bytes() - offset);
    FLOE_RETURN_IF_ERROR(file.ReadAt(offset, static_cast<size_t>(wanted), chunk));
    if (!chunk.empty()) return absl::OkStatus();
    return absl::AbortedError(
        absl::StrCat(path.string(), " became shorter while it was being uploaded; try again"));
  };
  auto sent = Upload(call, blob, read, progress);
  if (absl::IsDataLoss(sent.status())) {
    return absl::AbortedError(absl::StrCat(
        path.string(), " changed while it was being uploaded: ", sent.status().message()));
  }
  return sent;
}

absl::StatusOr<v1::Blob> RegistryClient::UploadBytes(const runtime::OutgoingCall& call,
                                                     std::string_view bytes) {
  v1::Blob blob;
  blob.set_digest(Sha256::Hex(bytes));
  blob.set_size_bytes(static_cast<int64_t>(bytes.size()));
  const auto read = [&](int64_t offset, std::string& chunk) {
    chunk.assign(bytes.substr(static_cast<size_t>(offset), kChunkBytes));
    return absl::OkStatus();
  };
  return Upload(call, blob, read, nullptr);
}

absl::Status RegistryClient::Download(const runtime::OutgoingCall& call, const std::string& digest,
                                      WritePiece write) {
  Sha256 hasher;
  int64_t offset = 0;
  FLOE_RETURN_IF_ERROR(runtime::RetryIdempotent({}, call.deadline, [&]() -> absl::Status {
    grpc::ClientContext context;
    Prepare(context, call);
    v1::DownloadBlobRequest request;
    request.set_digest(digest);
    request.set_offset(offset);
    const auto stream = blobs_->DownloadBlob(&context, request);
    v1::DownloadBlobResponse piece;
    while (stream->Read(&piece)) {
      hasher.Update(piece.chunk());
      offset += static_cast<int64_t>(piece.chunk().size());
      const absl::Status written = write(offset, piece.chunk());
      if (written.ok()) continue;
      context.TryCancel();
      stream->Finish();
      return written;
    }
    return runtime::FromGrpcStatus(stream->Finish());
  }));
  const std::string actual = hasher.FinishHex();
  return actual == digest ? absl::OkStatus() : NotTheBlob(digest, actual);
}

absl::Status RegistryClient::DownloadFile(const runtime::OutgoingCall& call,
                                          const std::string& digest,
                                          const std::filesystem::path& to,
                                          const Progress& progress) {
  FLOE_ASSIGN_OR_RETURN(const v1::Blob blob, GetBlob(call, digest));
  FLOE_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(to));
  FLOE_RETURN_IF_ERROR(Download(call, digest, [&](int64_t done, std::string_view bytes) {
    if (progress != nullptr) progress(done, blob.size_bytes());
    return file.Append(bytes);
  }));
  FLOE_RETURN_IF_ERROR(file.Sync(0644));
  return file.Commit(to);
}

absl::StatusOr<std::string> RegistryClient::DownloadBytes(const runtime::OutgoingCall& call,
                                                          const std::string& digest,
                                                          int64_t max_bytes) {
  std::string bytes;
  FLOE_RETURN_IF_ERROR(Download(call, digest, [&](int64_t done, std::string_view piece) {
    if (done > max_bytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat("blob ", digest, " is larger than the limit of ", max_bytes, " bytes"));
    }
    bytes.append(piece);
    return absl::OkStatus();
  }));
  return bytes;
}

absl::StatusOr<v1::Blob> RegistryClient::GetBlob(const runtime::OutgoingCall& call,
                                                 const std::string& digest) {
  v1::GetBlobRequest request;
  request.set_digest(digest);
  return Call(call, request, *blobs_, &v1::BlobService::Stub::GetBlob);
}

absl::StatusOr<v1::Blob> RegistryClient::VerifyBlob(const runtime::OutgoingCall& call,
                                                    const std::string& digest) {
  v1::VerifyBlobRequest request;
  request.set_digest(digest);
  return Call(call, request, *blobs_, &v1::BlobService::Stub::VerifyBlob);
}

absl::StatusOr<v1::Dataset> RegistryClient::CreateDataset(const runtime::OutgoingCall& call,
                                                          v1::CreateDatasetRequest request) {
  if (request.request_id().empty()) request.set_request_id(NewRequestId());
  return Call(call, request, *registry_, &v1::RegistryService::Stub::CreateDataset);
}

absl::StatusOr<v1::Dataset> RegistryClient::GetDataset(const runtime::OutgoingCall& call,
                                                       const std::string& name) {
  v1::GetDatasetRequest request;
  request.set_name(name);
  return Call(call, request, *registry_, &v1::RegistryService::Stub::GetDataset);
}

absl::StatusOr<v1::Tokenizer> RegistryClient::CreateTokenizer(const runtime::OutgoingCall& call,
                                                              v1::CreateTokenizerRequest request) {
  if (request.request_id().empty()) request.set_request_id(NewRequestId());
  return Call(call, request, *registry_, &v1::RegistryService::Stub::CreateTokenizer);
}

absl::StatusOr<v1::Tokenizer> RegistryClient::GetTokenizer(const runtime::OutgoingCall& call,
                                                           const std::string& name) {
  v1::GetTokenizerRequest request;
  request.set_name(name);
  return Call(call, request, *registry_, &v1::RegistryService::Stub::GetTokenizer);
}

absl::StatusOr<v1::ModelVersion> RegistryClient::CreateModelVersion(
    const runtime::OutgoingCall& call, v1::CreateModelVersionRequest request) {
  if (request.request_id().empty()) request.set_request_id(NewRequestId());
  return Call(call, request, *registry_, &v1::RegistryService::Stub::CreateModelVersion);
}

absl::StatusOr<v1::ModelVersion> RegistryClient::GetModelVersion(const runtime::OutgoingCall& call,
                                                                 const std::string& name) {
  v1::GetModelVersionRequest request;
  request.set_name(name);
  return Call(call, request, *registry_, &v1::RegistryService::Stub::GetModelVersion);
}

absl::StatusOr<v1::ModelVersion> RegistryClient::ResolveModelVersion(
    const runtime::OutgoingCall& call, const std::string& parent, const std::string& reference) {
  v1::ResolveModelVersionRequest request;
  request.set_parent(parent);
  request.set_reference(reference);
  return Call(call, request, *registry_, &v1::RegistryService::Stub::ResolveModelVersion);
}

absl::StatusOr<v1::Evaluation> RegistryClient::CreateEvaluation(
    const runtime::OutgoingCall& call, v1::CreateEvaluationRequest request) {
  if (request.request_id().empty()) request.set_request_id(NewRequestId());
  return Call(call, request, *registry_, &v1::RegistryService::Stub::CreateEvaluation);
}

}  // namespace floe::registry
