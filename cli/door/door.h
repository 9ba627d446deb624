// The gateway's door, as the command line speaks to it: gRPC with an API key.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/door/fleet_address.h"

#include "floe/gateway/v1/gateway.grpc.pb.h"
#include "floe/jobs/v1/jobs.grpc.pb.h"
#include "floe/registry/v1/registry.grpc.pb.h"
#include "floe/retrieval/v1/retrieval.grpc.pb.h"
#include "floe/tokenizer/v1/tokenizer.grpc.pb.h"

namespace floe::cli {

// Thread-safe but for the first call of Team().
class Door {
 public:
  // No connection is made yet. INVALID_ARGUMENT when the authority's file cannot be read.
  static absl::StatusOr<std::unique_ptr<Door>> Open(FleetAddress address);

  registry::v1::RegistryService::Stub& registry() { return *registry_; }
  registry::v1::BlobService::Stub& blobs() { return *blobs_; }
  jobs::v1::JobService::Stub& jobs() { return *jobs_; }
  tokenizer::v1::TokenizerService::Stub& tokenizer() { return *tokenizer_; }
  gateway::v1::KeyService::Stub& keys() { return *keys_; }
  retrieval::v1::RetrievalService::Stub& retrieval() { return *retrieval_; }
  // For stubs of other packages.
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  const FleetAddress& address() const { return address_; }

  // `teams/<team>` of the key; asked once.
  absl::StatusOr<std::string> Team(absl::Duration timeout = absl::Seconds(60));

  // Attaches key and deadline, and for JobService the service whose jobs are meant.
  void Prepare(grpc::ClientContext& context, absl::Duration timeout,
               const std::string& service = {}) const;

  // The status of a call; one that says that nobody is there names the door and what to do.
  absl::Status StatusOf(const grpc::Status& status) const;

  // One unary call, repeated while the fleet does not answer: only for reads and for mutations that
  // carry a request_id. `method` is a pointer to a member of the stub.
  template <typename Answer, typename Stub, typename Request>
  absl::StatusOr<Answer> Ask(Stub& stub,
                             grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                          Answer*),
                             const Request& request, const std::string& service = {},
                             absl::Duration timeout = absl::Seconds(60)) const {
    Answer answer;
    const absl::Status status = Retry(timeout, [&] {
      answer.Clear();
      grpc::ClientContext context;
      Prepare(context, timeout, service);
      return StatusOf((stub.*method)(&context, request, &answer));
    });
    if (!status.ok()) return status;
    return answer;
  }

 private:
  explicit Door(FleetAddress address) : address_(std::move(address)) {}
  static absl::Status Retry(absl::Duration timeout, absl::FunctionRef<absl::Status()> call);

  const FleetAddress address_;
  std::shared_ptr<grpc::Channel> channel_;  // shared with the stubs
  std::unique_ptr<registry::v1::RegistryService::Stub> registry_;
  std::unique_ptr<registry::v1::BlobService::Stub> blobs_;
  std::unique_ptr<jobs::v1::JobService::Stub> jobs_;
  std::unique_ptr<tokenizer::v1::TokenizerService::Stub> tokenizer_;
  std::unique_ptr<gateway::v1::KeyService::Stub> keys_;
  std::unique_ptr<retrieval::v1::RetrievalService::Stub> retrieval_;
  std::string team_;
};

// A new id for request_id: repeating the call gives the first answer.
std::string NewRequestId();

}  // namespace floe::cli
