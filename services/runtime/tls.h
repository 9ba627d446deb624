// Mutually authenticated TLS between the services.
#pragma once

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "services/runtime/options.h"

namespace floe::runtime {

// The peer's certificate is required and verified against `tls.ca`. Plain only when `insecure` says
// so and `address` is a loopback address. INVALID_ARGUMENT names the missing or unreadable file.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MutualTlsServer(
    const TlsFiles& tls, bool insecure, const std::string& address);
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MutualTlsClient(const TlsFiles& tls,
                                                                          bool insecure);

// The server shows a certificate and asks none: for the gateway's door, where API keys speak.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> OneWayTlsServer(const TlsFiles& tls);

}  // namespace floe::runtime
