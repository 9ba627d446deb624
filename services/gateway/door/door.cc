#include "services/gateway/door/door.h"

#include <grpcpp/create_channel_posix.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server_posix.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "base/files.h"
#include "base/status_macros.h"
#include "services/gateway/door/backends.h"
#include "services/gateway/door/endless_streams.h"
#include "services/gateway/door/forwarded_call.h"
#include "services/gateway/door/lookup_threads.h"
#include "services/runtime/grpc_server.h"
#include "services/runtime/tls.h"

namespace floe::gateway {
namespace {

// Look-ups are one round trip to Postgres and remembered afterwards.
constexpr int kLookupThreads = 4;
constexpr size_t kMaxWaitingLookups = 4096;
constexpr int kOwnServiceThreads = 32;
constexpr int kMaxStreamsPerConnection = 1000;

class AnyMethod final : public grpc::CallbackGenericService {
 public:
  explicit AnyMethod(const ForwardedCall::Parts& parts) : parts_(parts) {}

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    auto* call = new ForwardedCall(parts_, *context);  // deletes itself when it is done
    call->Begin();
    return call;
  }

 private:
  const ForwardedCall::Parts parts_;
};

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> Credentials(
    const runtime::CommonOptions& options) {
  if (options.insecure) return runtime::MutualTlsServer(options.tls, true, options.listen);
  return runtime::OneWayTlsServer(options.tls);
}

struct OwnServices {
  std::unique_ptr<grpc::Server> server;
  std::shared_ptr<grpc::Channel> channel;
};

// The gateway's own services have no port: a pair of sockets inside this process is the only way to
// them, and the door holds the other end. (gRPC's in-process transport loses the message of a unary
// answer that is read after its status has come.)
absl::StatusOr<OwnServices> StartOwnServices(const std::vector<grpc::Service*>& services) {
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(runtime::kMaxMessageBytes);
  builder.SetMaxSendMessageSize(runtime::kMaxMessageBytes);
  grpc::ResourceQuota quota("floe-gateway");
  quota.SetMaxThreads(kOwnServiceThreads);
  builder.SetResourceQuota(quota);
  for (grpc::Service* service : services) builder.RegisterService(service);
  OwnServices own;
  own.server = builder.BuildAndStart();
  if (own.server == nullptr) {
    return absl::InternalError(
        "the gateway's own services do not start; are two of them the same?");
  }
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
    return ErrnoStatus(errno, "cannot make a pair of sockets");
  }
  grpc::AddInsecureChannelFromFd(own.server.get(), ends[0]);  // each end is gRPC's from here on
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(runtime::kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(runtime::kMaxMessageBytes);
  own.channel = grpc::CreateCustomInsecureChannelFromFd("gateway", ends[1], arguments);
  return own;
}

}  // namespace

// Declared in the order of need; ends in the reverse.
struct Door::State {
  OwnServices own;
  std::unique_ptr<Backends> backends;
  EndlessStreams endless;
  LookupThreads lookups{kLookupThreads, kMaxWaitingLookups};
  std::unique_ptr<AnyMethod> any_method;
  std::unique_ptr<grpc::Server> server;
  int port = 0;
};

absl::StatusOr<std::unique_ptr<Door>> Door::Start(const runtime::CommonOptions& options,
                                                  const DoorBackends& backends, Parts parts) {
  auto state = std::make_unique<State>();
  FLOE_ASSIGN_OR_RETURN(auto credentials, Credentials(options));
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  if (!parts.services.empty()) {
    FLOE_ASSIGN_OR_RETURN(state->own, StartOwnServices(parts.services));
  }
  FLOE_ASSIGN_OR_RETURN(state->backends, Backends::Create(backends, options, state->own.channel));
  state->any_method = std::make_unique<AnyMethod>(ForwardedCall::Parts{
      parts.calls, parts.identifier, parts.ids, *state->backends, state->lookups, state->endless});
  grpc::ServerBuilder builder;
  runtime::SetServerLimits(builder, options.max_threads);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreamsPerConnection);
  builder.AddListeningPort(options.listen, credentials, &state->port);
  builder.RegisterCallbackGenericService(state->any_method.get());
  state->server = builder.BuildAndStart();
  if (state->server == nullptr || state->port == 0) {
    return absl::UnavailableError(
        absl::StrCat("the door cannot listen on ", options.listen,
                     "; is the port taken, or the TLS certificate and key no pair? (--listen)"));
  }
  auto door = std::unique_ptr<Door>(new Door(std::move(state)));
  door->SetServing(false);
  return door;
}

Door::Door(std::unique_ptr<State> state) : state_(std::move(state)) {}

Door::~Door() { Drain(absl::UnixEpoch()); }

int Door::port() const { return state_->port; }

void Door::SetServing(bool serving) {
  state_->server->GetHealthCheckService()->SetServingStatus(serving);
}

void Door::Drain(absl::Time deadline) {
  if (state_->server == nullptr) return;
  state_->server->GetHealthCheckService()->Shutdown();
  state_->endless.EndAll();
  state_->server->Shutdown(absl::ToChronoTime(deadline));
  state_->server->Wait();
  state_->server.reset();
  if (state_->own.server != nullptr) {
    state_->own.server->Shutdown(absl::ToChronoTime(deadline));
    state_->own.server->Wait();
  }
}

}  // namespace floe::gateway
