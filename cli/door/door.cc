#include "cli/door/door.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/id.h"
#include "base/status_macros.h"
#include "services/runtime/client.h"
#include "services/runtime/grpc_server.h"
#include "services/runtime/status.h"

namespace floe::cli {
namespace {

constexpr char kServiceKey[] = "x-floe-service";

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> Credentials(const FleetAddress& address) {
  if (address.insecure) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions options;
  if (!address.ca.empty()) {
    absl::StatusOr<std::string> pem = ReadFile(address.ca, 1 << 20);
    if (!pem.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the fleet's authority: ", pem.status().message()));
    }
    options.pem_root_certs = *std::move(pem);
  }
  return grpc::SslCredentials(options);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Door>> Door::Open(FleetAddress address) {
  FLOE_ASSIGN_OR_RETURN(const auto credentials, Credentials(address));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(runtime::kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);  // of one attempt, in truth
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  auto door = std::unique_ptr<Door>(new Door(std::move(address)));
  door->channel_ = grpc::CreateCustomChannel(door->address_.door, credentials, arguments);
  const auto& channel = door->channel_;
  door->registry_ = registry::v1::RegistryService::NewStub(channel);
  door->blobs_ = registry::v1::BlobService::NewStub(channel);
  door->jobs_ = jobs::v1::JobService::NewStub(channel);
  door->tokenizer_ = tokenizer::v1::TokenizerService::NewStub(channel);
  door->keys_ = gateway::v1::KeyService::NewStub(channel);
  door->retrieval_ = retrieval::v1::RetrievalService::NewStub(channel);
  return door;
}

absl::StatusOr<std::string> Door::Team(absl::Duration timeout) {
  if (team_.empty()) {
    FLOE_ASSIGN_OR_RETURN(const gateway::v1::Caller caller,
                          Ask(*keys_, &gateway::v1::KeyService::Stub::GetCaller,
                              gateway::v1::GetCallerRequest(), {}, timeout));
    team_ = caller.team();
  }
  return team_;
}

void Door::Prepare(grpc::ClientContext& context, absl::Duration timeout,
                   const std::string& service) const {
  context.AddMetadata("authorization", absl::StrCat("Bearer ", address_.key));
  if (!service.empty()) context.AddMetadata(kServiceKey, service);
  if (timeout != absl::InfiniteDuration()) {
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  }
}

absl::Status Door::StatusOf(const grpc::Status& status) const {
  // An answer that came from the fleet carries details; without them it is the channel that speaks.
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE && status.error_details().empty()) {
    return absl::UnavailableError(absl::StrCat(
        "the fleet's door at ", address_.door, " does not answer (", status.error_message(),
        "); `floe status` shows what runs, `floe up` starts what is missing"));
  }
  return runtime::FromGrpcStatus(status);
}

absl::Status Door::Retry(absl::Duration timeout, absl::FunctionRef<absl::Status()> call) {
  return runtime::RetryStatus({}, absl::Now() + timeout, call);
}

std::string NewRequestId() {
  const SystemClock clock;
  return UlidGenerator(clock).Next();
}

}  // namespace floe::cli
