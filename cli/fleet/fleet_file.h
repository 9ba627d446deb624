// fleet.json: where a fleet on this machine is reached. Written by `floe up`, read by everyone.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "cli/fleet/layout.h"

namespace floe::cli {

struct ServicePorts {
  int grpc = 0;  // 0: the service has none
  int side = 0;  // /metrics, /healthz, /readyz
  bool operator==(const ServicePorts&) const = default;
};

struct FleetFile {
  int http_port = 0;                             // OpenAI-compatible HTTP, on 127.0.0.1
  std::map<std::string, ServicePorts> services;  // by short name; gateway's grpc is the door
  std::string postgres_socket;                   // folder of the database's socket
  bool operator==(const FleetFile&) const = default;

  std::string door() const;  // host:port
  std::string http() const;  // http://host:port
  std::string ToJson() const;
  // INVALID_ARGUMENT names what is wrong.
  static absl::StatusOr<FleetFile> Parse(std::string_view json);
};

// NOT_FOUND when there is no fleet in that folder.
absl::StatusOr<FleetFile> ReadFleetFile(const Layout& layout);

}  // namespace floe::cli
