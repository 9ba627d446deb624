// The registry for those who publish to it or read from it: the runner, the trainer's executor, the
// command line. Hides streams, retries and verification; speaks the contract's messages otherwise.
//
//   RegistryClient registry(channel);
//   auto blob = registry.UploadFile(call, "corpus.txt");
//   v1::CreateDatasetRequest request;                  // parent, dataset_id, dataset.digest =
//   blob->digest auto dataset = registry.CreateDataset(call, request);
//
// Every method takes the OutgoingCall that says on whose behalf and until when (services/runtime/
// client.h). Reads, uploads and mutations that carry a request_id are repeated while the registry
// is unavailable and the deadline allows it; a mutation without request_id is given one.
// Errors are the registry's own, reason and metadata included (base/error_reason.h).
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "floe/registry/v1/registry.grpc.pb.h"
#include "services/runtime/client.h"

namespace floe::registry {

// Thread-safe. The channel is shared with the other clients of the same peer.
class RegistryClient {
 public:
  // Called on each new context after the identity's metadata is set: a caller in front of the
  // gateway's door adds its `authorization` here.
  using Decorate = std::function<void(grpc::ClientContext&)>;
  // Bytes sent or received so far, of how many.
  using Progress = std::function<void(int64_t done, int64_t total)>;

  explicit RegistryClient(std::shared_ptr<grpc::Channel> channel, Decorate decorate = nullptr);

  // Reads the file twice: for its digest, then to send it; a blob that the caller's team has
  // already sent is not sent again. ABORTED when the file changed in between.
  absl::StatusOr<v1::Blob> UploadFile(const runtime::OutgoingCall& call,
                                      const std::filesystem::path& file,
                                      const Progress& progress = nullptr);
  absl::StatusOr<v1::Blob> UploadBytes(const runtime::OutgoingCall& call, std::string_view bytes);

  // Writes beside `to`, compares with the digest, renames: `to` is whole or absent. A broken stream
  // goes on where it stopped. DATA_LOSS when the bytes are not the digest's; RESOURCE_EXHAUSTED
  // when the disk is full.
  absl::Status DownloadFile(const runtime::OutgoingCall& call, const std::string& digest,
                            const std::filesystem::path& to, const Progress& progress = nullptr);
  // RESOURCE_EXHAUSTED when the blob is larger than `max_bytes`.
  absl::StatusOr<std::string> DownloadBytes(const runtime::OutgoingCall& call,
                                            const std::string& digest, int64_t max_bytes);
  absl::StatusOr<v1::Blob> GetBlob(const runtime::OutgoingCall& call, const std::string& digest);
  absl::StatusOr<v1::Blob> VerifyBlob(const runtime::OutgoingCall& call, const std::string& digest);

  absl::StatusOr<v1::Dataset> CreateDataset(const runtime::OutgoingCall& call,
                                            v1::CreateDatasetRequest request);
  absl::StatusOr<v1::Dataset> GetDataset(const runtime::OutgoingCall& call,
                                         const std::string& name);
  absl::StatusOr<v1::Tokenizer> CreateTokenizer(const runtime::OutgoingCall& call,
                                                v1::CreateTokenizerRequest request);
  absl::StatusOr<v1::Tokenizer> GetTokenizer(const runtime::OutgoingCall& call,
                                             const std::string& name);
  absl::StatusOr<v1::ModelVersion> CreateModelVersion(const runtime::OutgoingCall& call,
                                                      v1::CreateModelVersionRequest request);
  absl::StatusOr<v1::ModelVersion> GetModelVersion(const runtime::OutgoingCall& call,
                                                   const std::string& name);
  // `parent` is teams/{team}; `reference` is what a person writes: hamlet@production.
  absl::StatusOr<v1::ModelVersion> ResolveModelVersion(const runtime::OutgoingCall& call,
                                                       const std::string& parent,
                                                       const std::string& reference);
  absl::StatusOr<v1::Evaluation> CreateEvaluation(const runtime::OutgoingCall& call,
                                                  v1::CreateEvaluationRequest request);

 private:
  // Fills `chunk` with bytes from `offset` on.
  using ReadPiece = absl::FunctionRef<absl::Status(int64_t offset, std::string& chunk)>;
  // Takes the bytes that end at `done`.
  using WritePiece = absl::FunctionRef<absl::Status(int64_t done, std::string_view bytes)>;

  absl::StatusOr<v1::Blob> Upload(const runtime::OutgoingCall& call, const v1::Blob& blob,
                                  ReadPiece read, const Progress& progress);
  absl::Status Download(const runtime::OutgoingCall& call, const std::string& digest,
                        WritePiece write);
  // One unary call, repeated while the registry is unavailable.
  template <typename Answer, typename Request, typename Stub>
  absl::StatusOr<Answer> Call(const runtime::OutgoingCall& call, const Request& request, Stub& stub,
                              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                           Answer*));
  void Prepare(grpc::ClientContext& context, const runtime::OutgoingCall& call) const;

  const std::unique_ptr<v1::RegistryService::Stub> registry_;
  const std::unique_ptr<v1::BlobService::Stub> blobs_;
  const Decorate decorate_;
};

}  // namespace floe::registry
