#include "services/runtime/call.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/time/clock.h"

#include "services/runtime/status.h"

namespace floe::runtime {
namespace {

constexpr absl::Duration kDefaultDeadline = absl::Seconds(60);

std::string Metadata(const grpc::ServerContextBase& context, const char* key) {
  const auto found = context.client_metadata().find(key);
  if (found == context.client_metadata().end()) return {};
  return std::string(found->second.data(), found->second.size());
}

CallIdentity IdentityOf(const grpc::ServerContextBase& context, IdGenerator& ids) {
  CallIdentity identity;
  identity.team = Metadata(context, kTeamKey);
  identity.role = Metadata(context, kRoleKey);
  identity.key_id = Metadata(context, kKeyIdKey);
  identity.request_id = Metadata(context, kRequestIdKey);
  if (identity.request_id.empty()) identity.request_id = ids.Next();
  const auto parent = ParseTraceParent(Metadata(context, kTraceParentKey));
  identity.trace = parent ? NewSpan(*parent) : NewTrace();
  return identity;
}

absl::Time DeadlineOf(const grpc::ServerContextBase& context, CallKind kind) {
  const auto deadline = context.deadline();
  if (deadline != std::chrono::system_clock::time_point::max()) return absl::FromChrono(deadline);
  return kind == CallKind::kUnary ? absl::Now() + kDefaultDeadline : absl::InfiniteFuture();
}

// The service itself is at fault, not the caller or the circumstances.
bool IsOwnFault(absl::StatusCode code) {
  return code == absl::StatusCode::kInternal || code == absl::StatusCode::kUnknown ||
         code == absl::StatusCode::kDataLoss;
}

// What the log tells of an error besides its code and reason. Messages about a caller's mistake may
// quote the request, and prompts, answers and keys stay out of logs; those about the fleet do not.
std::string Told(const absl::Status& status) {
  const bool of_the_fleet =
      IsOwnFault(status.code()) || status.code() == absl::StatusCode::kUnavailable;
  return of_the_fleet ? std::string(status.message()) : std::string();
}

}  // namespace

CallContext::CallContext(const grpc::ServerContextBase& context, CallIdentity identity,
                         absl::Time deadline, const std::atomic<bool>& draining, Logger logger)
    : context_(context),
      identity_(std::move(identity)),
      deadline_(deadline),
      draining_(draining),
      logger_(std::move(logger)) {}

absl::Duration CallContext::time_left() const {
  return std::max(deadline_ - absl::Now(), absl::ZeroDuration());
}

bool CallContext::cancelled() const { return context_.IsCancelled() || absl::Now() >= deadline_; }

Calls::Open Calls::Begin(const grpc::ServerContextBase& context, std::string_view method,
                         CallKind kind) {
  return Begin(context, method, kind, IdentityOf(context, parts_.ids));
}

Calls::Open Calls::Begin(const grpc::ServerContextBase& context, std::string_view method,
                         CallKind kind, CallIdentity identity) {
  Logger logger = parts_.logger.For(identity.trace.trace_id, identity.request_id);
  return Open(CallContext(context, std::move(identity), DeadlineOf(context, kind), draining_,
                          std::move(logger)),
              method, parts_.clock.Monotonic());
}

grpc::Status Calls::Finish(Open& call, const absl::Status& status) {
  const absl::Duration took = parts_.clock.Monotonic() - call.start_;
  parts_.metrics.ObserveCall(call.method_, status.code(), took);
  const LogLevel level = IsOwnFault(status.code()) ? LogLevel::kError
                         : status.ok()             ? LogLevel::kDebug
                                                   : LogLevel::kInfo;
  const CallIdentity& identity = call.context_.identity();
  const auto reason = ReasonOf(status);
  call.context_.logger().Log(level, "rpc",
                             {{"method", call.method_},
                              {"code", CodeName(status.code())},
                              {"reason", reason ? reason->reason : std::string()},
                              {"error", Told(status)},
                              {"team", identity.team},
                              {"key_id", identity.key_id},
                              {"seconds", absl::ToDoubleSeconds(took)}});
  return ToGrpcStatus(status, parts_.domain);
}

grpc::Status Calls::Run(const grpc::ServerContextBase& context, std::string_view method, Body body,
                        CallKind kind) {
  Open call = Begin(context, method, kind);
  absl::Status status;
  if (call.context_.cancelled()) {
    status = absl::DeadlineExceededError("the deadline had passed before the call began");
  } else {
    status = CheckPeer(parts_.peers, ServicesOf(context), method);
    if (status.ok()) status = body(call.context_);
  }
  return Finish(call, status);
}

}  // namespace floe::runtime
