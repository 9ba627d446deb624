#include "services/runtime/tls.h"

#include <grpcpp/grpcpp.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/files.h"
#include "base/status_macros.h"

namespace floe::runtime {
namespace {

absl::StatusOr<std::string> Pem(const std::string& path, const char* option) {
  if (path.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--", option,
                     " is not set; services speak mutual TLS (`floe up` and the Helm chart make the"
                     " certificates)"));
  }
  absl::StatusOr<std::string> bytes = ReadFile(path, 1 << 20);
  if (!bytes.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--", option, ": ", bytes.status().message()));
  }
  if (!absl::StrContains(*bytes, "-----BEGIN ")) {
    return absl::InvalidArgumentError(absl::StrCat("--", option, ": ", path, " is not a PEM file"));
  }
  return bytes;
}

bool IsLoopback(const std::string& address) {
  return absl::StartsWith(address, "127.") || absl::StartsWith(address, "localhost:") ||
         absl::StartsWith(address, "[::1]:") || absl::StartsWith(address, "unix:");
}

absl::StatusOr<grpc::SslServerCredentialsOptions::PemKeyCertPair> KeyAndCert(const TlsFiles& tls) {
  FLOE_ASSIGN_OR_RETURN(std::string key, Pem(tls.key, "tls-key"));
  FLOE_ASSIGN_OR_RETURN(std::string cert, Pem(tls.cert, "tls-cert"));
  return grpc::SslServerCredentialsOptions::PemKeyCertPair{std::move(key), std::move(cert)};
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MutualTlsServer(
    const TlsFiles& tls, bool insecure, const std::string& address) {
  if (insecure) {
    if (IsLoopback(address)) return grpc::InsecureServerCredentials();
    return absl::InvalidArgumentError(
        absl::StrCat("--insecure is for tests on the loopback address, not ", address,
                     "; give TLS files instead"));
  }
  FLOE_ASSIGN_OR_RETURN(auto pair, KeyAndCert(tls));
  FLOE_ASSIGN_OR_RETURN(std::string ca, Pem(tls.ca, "tls-ca"));
  grpc::SslServerCredentialsOptions options(
      GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = std::move(ca);
  options.pem_key_cert_pairs.push_back(std::move(pair));
  return grpc::SslServerCredentials(options);
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> OneWayTlsServer(const TlsFiles& tls) {
  FLOE_ASSIGN_OR_RETURN(auto pair, KeyAndCert(tls));
  grpc::SslServerCredentialsOptions options(GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  options.pem_key_cert_pairs.push_back(std::move(pair));
  return grpc::SslServerCredentials(options);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MutualTlsClient(const TlsFiles& tls,
                                                                          bool insecure) {
  if (insecure) return grpc::InsecureChannelCredentials();
  FLOE_ASSIGN_OR_RETURN(auto pair, KeyAndCert(tls));
  FLOE_ASSIGN_OR_RETURN(std::string ca, Pem(tls.ca, "tls-ca"));
  return grpc::SslCredentials(
      {std::move(ca), std::move(pair.private_key), std::move(pair.cert_chain)});
}

}  // namespace floe::runtime
