// Which services of the fleet may call which methods of this one. The authority vouches for all of
// them alike; what each may do here goes by the name in its certificate, so that one that is taken
// over is not all of them.
#pragma once

#include <grpcpp/server_context.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace floe::runtime {

struct PeerRule {
  std::string service;               // who calls: `inference`
  std::vector<std::string> methods;  // `billing.IngestAttempts`; {"*"}: all
};
using PeerRules = std::vector<PeerRule>;  // empty: any peer of the authority, any method

// The service that a name in a certificate stands for: the last part of its first label.
// `gateway`, `floe-gateway` and `acme-floe-gateway.ns.svc` are all `gateway`.
std::string_view ServiceOf(std::string_view certificate_name);

// The services that the peer's certificate names (common and alternative names); none without TLS,
// which MutualTlsServer allows on the loopback address only.
std::vector<std::string> ServicesOf(const grpc::ServerContextBase& context);

// PERMISSION_DENIED, PEER_NOT_ALLOWED, when no rule lets one of `services` call `method`.
absl::Status CheckPeer(const PeerRules& rules, const std::vector<std::string>& services,
                       std::string_view method);

}  // namespace floe::runtime
