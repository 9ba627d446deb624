#include "services/gateway/door/forwarded_call.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "services/gateway/door/route.h"
#include "services/runtime/client.h"
#include "services/runtime/request_id.h"
#include "services/runtime/status.h"
#include "services/runtime/trace.h"

namespace floe::gateway {
namespace {

constexpr char kUnknownMethod[] = "unknown";  // one label for all of them
constexpr char kDomain[] = "gateway.floe";

std::string_view View(const grpc::string_ref& text) { return {text.data(), text.size()}; }

absl::Time DeadlineOf(const grpc::ServerContextBase& context) {
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return absl::InfiniteFuture();
  return absl::FromChrono(deadline);
}

}  // namespace

ForwardedCall::ForwardedCall(const Parts& parts, grpc::GenericCallbackServerContext& context)
    : parts_(parts), context_(context), method_(context.method()), rule_(FindMethodRule(method_)) {}

std::string ForwardedCall::ClientMetadata(const char* key) const {
  const auto found = context_.client_metadata().find(key);
  if (found == context_.client_metadata().end()) return {};
  return std::string(View(found->second));
}

void ForwardedCall::Begin() {
  identity_.request_id = ClientMetadata(runtime::kRequestIdKey);
  if (!runtime::IsRequestId(identity_.request_id)) identity_.request_id = parts_.ids.Next();
  const auto parent = runtime::ParseTraceParent(ClientMetadata(runtime::kTraceParentKey));
  identity_.trace = parent ? runtime::NewSpan(*parent) : runtime::NewTrace();

  const std::string authorization = ClientMetadata("authorization");
  const absl::StatusOr<std::string_view> token = BearerToken(authorization);
  if (!token.ok()) return Proceed(token.status());
  if (const auto known = parts_.identifier.Cached(*token)) return Proceed(*known);
  if (!parts_.lookups.Post(
          [this, secret = std::string(*token)] { Proceed(parts_.identifier.Identify(secret)); })) {
    Proceed(absl::ResourceExhaustedError("too many API keys wait to be looked up; try again"));
  }
}

void ForwardedCall::Proceed(const absl::StatusOr<Identity>& caller) {
  if (caller.ok()) {
    identity_.team = caller->team;
    identity_.role = std::string(RoleName(caller->role));
    identity_.key_id = caller->key_id;
  }
  open_.emplace(parts_.calls.Begin(context_, rule_ == nullptr ? kUnknownMethod : method_,
                                   runtime::CallKind::kStream, identity_));
  const absl::Status status = caller.ok() ? Forward(*caller) : caller.status();
  if (!status.ok()) Refuse(status);
}

void ForwardedCall::Refuse(const absl::Status& status) {
  context_.AddInitialMetadata(runtime::kRequestIdKey, identity_.request_id);
  Finish(parts_.calls.Finish(*open_, status));  // the last thing: may delete this
}

// Once this has returned OK, the call may be over.
absl::Status ForwardedCall::Forward(const Identity& caller) {
  FLOE_RETURN_IF_ERROR(Authorize(caller, method_));
  FLOE_ASSIGN_OR_RETURN(const Destination destination,
                        RouteOf(method_, ClientMetadata(kServiceHintKey)));
  FLOE_ASSIGN_OR_RETURN(backend_, parts_.backends.Pick(destination));
  if (rule_->endless && !parts_.endless.Add(this, inner_context_)) {
    return absl::UnavailableError("the gateway is shutting down; connect again");
  }
  for (const auto& [key, value] : context_.client_metadata()) {
    if (!PassesInwards(View(key))) continue;
    inner_context_->AddMetadata(std::string(View(key)), std::string(View(value)));
  }
  runtime::PrepareCall(*inner_context_, {identity_, DeadlineOf(context_)});
  ++backend_->calls;
  backend_->stub.PrepareBidiStreamingCall(inner_context_.get(), method_, {}, &inner_);
  inner_.AddMultipleHolds(2);  // one for each direction; operations begin on the client's threads
  up_ = Up::kFromClient;       // nobody else looks yet
  StartRead(&up_buffer_);
  inner_.StartCall();  // the last thing: from here on the call may be over at any time
  return absl::OkStatus();
}

// Upwards: client to backend.

void ForwardedCall::OnReadDone(bool ok) {
  {
    std::lock_guard lock(mutex_);
    if (up_ == Up::kEnded) return;
    up_ = Up::kToBackend;
  }
  if (ok) {
    inner_.StartWrite(&up_buffer_);
  } else {
    inner_.StartWritesDone();  // half-closed; or cancelled, and then OnCancel has ended it all
  }
}

void ForwardedCall::OnBackendTook(bool ok) {
  bool go_on;
  {
    std::lock_guard lock(mutex_);
    go_on = ok && !ending_;
    up_ = go_on ? Up::kFromClient : Up::kEnded;
  }
  if (go_on) {
    StartRead(&up_buffer_);
  } else {
    inner_.RemoveHold();
  }
}

// Downwards: backend to client.

void ForwardedCall::OnBackendMetadata(bool ok) {
  if (!ok) return EndDown();
  context_.AddInitialMetadata(runtime::kRequestIdKey, identity_.request_id);
  for (const auto& [key, value] : inner_context_->GetServerInitialMetadata()) {
    if (!PassesOutwards(View(key))) continue;
    context_.AddInitialMetadata(std::string(View(key)), std::string(View(value)));
  }
  StartSendInitialMetadata();
}

void ForwardedCall::OnSendInitialMetadataDone(bool ok) { OnWriteDone(ok); }

void ForwardedCall::OnBackendRead(bool ok) {
  if (!ok) return EndDown();
  StartWrite(&down_buffer_);
}

void ForwardedCall::OnWriteDone(bool ok) {
  if (ok) return inner_.StartRead(&down_buffer_);
  inner_context_->TryCancel();  // nobody listens any more
  EndDown();
}

// No more messages will come, so that none is wanted either: a client that still could send is not
// waited for.
void ForwardedCall::EndDown() {
  int holds = 1;
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
    if (up_ == Up::kFromClient) {
      up_ = Up::kEnded;
      ++holds;
    }
  }
  for (; holds > 0; --holds) inner_.RemoveHold();
}

void ForwardedCall::OnCancel() { inner_context_->TryCancel(); }

grpc::Status ForwardedCall::Outcome(const grpc::Status& status) const {
  if (status.error_code() == grpc::StatusCode::CANCELLED && rule_->endless &&
      parts_.endless.ended() && !context_.IsCancelled()) {
    return runtime::ToGrpcStatus(
        absl::UnavailableError("the gateway is shutting down; connect again"), kDomain);
  }
  // Said by gRPC itself and not by the service, whose errors carry details.
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE && status.error_details().empty()) {
    return runtime::ToGrpcStatus(
        WithReason(absl::UnavailableError(absl::StrCat(
                       backend_->name, " cannot be reached: ", status.error_message())),
                   "BACKEND_UNAVAILABLE"),
        kDomain);
  }
  return status;
}

void ForwardedCall::OnBackendDone(const grpc::Status& status) {
  --backend_->calls;
  if (rule_->endless) parts_.endless.Remove(this);
  for (const auto& [key, value] : inner_context_->GetServerTrailingMetadata()) {
    if (!PassesOutwards(View(key))) continue;
    context_.AddTrailingMetadata(std::string(View(key)), std::string(View(value)));
  }
  const grpc::Status outcome = Outcome(status);
  // For metrics and log; what the client gets is the service's own status, details and all.
  parts_.calls.Finish(*open_, runtime::FromGrpcStatus(outcome));
  Finish(outcome);  // the last thing: may delete this
}

void ForwardedCall::OnDone() { delete this; }

}  // namespace floe::gateway
