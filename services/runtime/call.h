// The one wrapper around every RPC method: who calls, until when, metrics, log, errors.
//
//   grpc::Status GetModel(grpc::ServerContext* context, const GetModelRequest* request,
//                         Model* answer) override {
//     return calls_.Run(*context, "registry.GetModel", [&](CallContext& call) -> absl::Status {
//       FLOE_ASSIGN_OR_RETURN(auto model, models_.Get(call.identity().team, request->name()));
//       *answer = ToProto(model);
//       return absl::OkStatus();
//     });
//   }
#pragma once

#include <grpcpp/server_context.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"

#include "base/clock.h"
#include "base/id.h"
#include "services/runtime/logging.h"
#include "services/runtime/metrics.h"
#include "services/runtime/peers.h"
#include "services/runtime/trace.h"

namespace floe::runtime {

// Metadata keys. The gateway's door sets the x-floe ones and strips those that a client sends.
inline constexpr char kTeamKey[] = "x-floe-team";
inline constexpr char kRoleKey[] = "x-floe-role";
inline constexpr char kKeyIdKey[] = "x-floe-key-id";
inline constexpr char kRequestIdKey[] = "x-request-id";
inline constexpr char kTraceParentKey[] = "traceparent";

// Who calls, and which request it is part of.
struct CallIdentity {
  std::string team;  // empty: a service on its own behalf
  std::string role;  // viewer, consumer, developer, admin
  std::string key_id;
  std::string request_id;
  TraceParent trace;  // this call's span
};

// Borrows the gRPC context: lives only as long as the call.
class CallContext {
 public:
  CallContext(const grpc::ServerContextBase& context, CallIdentity identity, absl::Time deadline,
              const std::atomic<bool>& draining, Logger logger);

  const CallIdentity& identity() const { return identity_; }
  // The client's, or the default (60 s) of a unary call that came without one; InfiniteFuture for
  // such a stream.
  absl::Time deadline() const { return deadline_; }
  absl::Duration time_left() const;
  // The client went away or the deadline passed: stop, and free what the call holds.
  bool cancelled() const;
  // The server is shutting down: a stream that could go on for hours should end with UNAVAILABLE,
  // and its client comes back elsewhere. Unary calls simply finish.
  bool draining() const { return draining_.load(); }
  // With the trace and request ids.
  const Logger& logger() const { return logger_; }

 private:
  const grpc::ServerContextBase& context_;
  CallIdentity identity_;
  absl::Time deadline_;
  const std::atomic<bool>& draining_;
  Logger logger_;
};

enum class CallKind { kUnary, kStream };

// One a service. Thread-safe. Borrows what it is made of.
class Calls {
 public:
  struct Parts {
    const Logger& logger;
    Metrics& metrics;
    const Clock& clock;
    IdGenerator& ids;
    std::string domain;    // of ErrorInfo: `registry.floe`
    PeerRules peers = {};  // who may call what
  };
  explicit Calls(Parts parts) : parts_(std::move(parts)) {}

  using Body = absl::FunctionRef<absl::Status(CallContext&)>;

  // Asks the peer rules, runs `body`, counts, measures and logs the call, and returns its status
  // with an ErrorInfo. The log has the message only of what the fleet itself is to blame for.
  grpc::Status Run(const grpc::ServerContextBase& context, std::string_view method, Body body,
                   CallKind kind = CallKind::kUnary);

  // Run in two halves, for callback and asynchronous methods. Finish is called exactly once.
  class Open {
   public:
    CallContext& context() { return context_; }

   private:
    friend class Calls;
    Open(CallContext context, std::string_view method, absl::Duration start)
        : context_(std::move(context)), method_(method), start_(start) {}
    CallContext context_;
    std::string method_;
    absl::Duration start_;  // Clock::Monotonic
  };
  Open Begin(const grpc::ServerContextBase& context, std::string_view method,
             CallKind kind = CallKind::kUnary);
  // The same where the metadata is not to be believed: at the gateway's door, which knows who
  // calls.
  Open Begin(const grpc::ServerContextBase& context, std::string_view method, CallKind kind,
             CallIdentity identity);
  grpc::Status Finish(Open& call, const absl::Status& status);

  void SetDraining() { draining_ = true; }

 private:
  Parts parts_;
  std::atomic<bool> draining_{false};
};

}  // namespace floe::runtime
