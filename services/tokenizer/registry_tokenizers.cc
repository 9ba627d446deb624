#include "services/tokenizer/registry_tokenizers.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/sha256.h"
#include "base/status_macros.h"
#include "floe/registry/v1/registry.grpc.pb.h"
#include "services/runtime/client.h"
#include "services/runtime/status.h"

namespace floe::services::tokenizer {
namespace {

namespace pb = ::floe::registry::v1;

constexpr absl::Duration kResolveTime = absl::Seconds(5);
constexpr absl::Duration kFetchTime = absl::Seconds(30);
constexpr size_t kMaxFileBytes = size_t{256} << 20;

class RegistryTokenizers final : public TokenizerFiles {
 public:
  explicit RegistryTokenizers(const std::shared_ptr<grpc::Channel>& channel)
      : registry_(pb::RegistryService::NewStub(channel)),
        blobs_(pb::BlobService::NewStub(channel)) {}

  absl::StatusOr<std::string> Resolve(const runtime::CallContext& call,
                                      const std::string& name) override {
    const auto outgoing = runtime::OutgoingCall::From(call, kResolveTime);
    return runtime::RetryIdempotent({}, outgoing.deadline, [&]() -> absl::StatusOr<std::string> {
      grpc::ClientContext context;
      runtime::PrepareCall(context, outgoing);
      pb::GetTokenizerRequest request;
      request.set_name(name);
      pb::Tokenizer answer;
      FLOE_RETURN_IF_ERROR(
          runtime::FromGrpcStatus(registry_->GetTokenizer(&context, request, &answer)));
      if (!IsSha256Hex(answer.digest())) {
        return absl::InternalError(absl::StrCat("the registry gave no digest for ", name));
      }
      return answer.digest();
    });
  }

  absl::StatusOr<std::string> Fetch(const runtime::CallContext& call,
                                    const std::string& digest) override {
    const auto outgoing = runtime::OutgoingCall::From(call, kFetchTime);
    FLOE_ASSIGN_OR_RETURN(std::string bytes, runtime::RetryIdempotent({}, outgoing.deadline, [&] {
                            return Download(outgoing, digest);
                          }));
    if (Sha256::Hex(bytes) != digest) {
      return absl::DataLossError(absl::StrCat("tokenizer file ", digest, " arrived as ",
                                              Sha256::Hex(bytes), "; verify the registry's blob"));
    }
    return bytes;
  }

 private:
  absl::StatusOr<std::string> Download(const runtime::OutgoingCall& outgoing,
                                       const std::string& digest) {
    grpc::ClientContext context;
    runtime::PrepareCall(context, outgoing);
    pb::DownloadBlobRequest request;
    request.set_digest(digest);
    const auto reader = blobs_->DownloadBlob(&context, request);
    std::string bytes;
    pb::DownloadBlobResponse part;
    while (reader->Read(&part)) {
      if (bytes.size() + part.chunk().size() > kMaxFileBytes) {
        context.TryCancel();
        return absl::ResourceExhaustedError(
            absl::StrCat("tokenizer file ", digest, " is larger than ", kMaxFileBytes, " bytes"));
      }
      bytes += part.chunk();
    }
    FLOE_RETURN_IF_ERROR(runtime::FromGrpcStatus(reader->Finish()));
    return bytes;
  }

  const std::unique_ptr<pb::RegistryService::Stub> registry_;
  const std::unique_ptr<pb::BlobService::Stub> blobs_;
};

}  // namespace

std::unique_ptr<TokenizerFiles> MakeRegistryTokenizers(std::shared_ptr<grpc::Channel> registry) {
  return std::make_unique<RegistryTokenizers>(registry);
}

}  // namespace floe::services::tokenizer
