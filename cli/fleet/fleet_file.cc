#include "cli/fleet/fleet_file.h"

#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/status_macros.h"
#include "base/view.h"

namespace floe::cli {
namespace {

constexpr int kVersion = 1;

bool IsPort(int port) { return port > 0 && port < 65536; }

}  // namespace

std::string FleetFile::door() const {
  const auto gateway = services.find("gateway");
  return absl::StrCat("127.0.0.1:", gateway == services.end() ? 0 : gateway->second.grpc);
}

std::string FleetFile::http() const { return absl::StrCat("http://127.0.0.1:", http_port); }

std::string FleetFile::ToJson() const {
  nlohmann::ordered_json json;
  json["version"] = kVersion;
  json["door"] = door();
  json["http"] = http();
  json["http_port"] = http_port;
  json["ca"] = "certs/ca.pem";
  json["key_file"] = "admin.key";
  json["postgres_socket"] = postgres_socket;
  for (const auto& [name, ports] : services) {
    json["services"][name] = {{"grpc", ports.grpc}, {"side", ports.side}};
  }
  return json.dump(2) + "\n";
}

absl::StatusOr<FleetFile> FleetFile::Parse(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  const auto bad = [](std::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("not a fleet file: ", AbslView(what)));
  };
  if (!json.is_object()) return bad("no JSON object");
  try {
    if (json.at("version").get<int>() != kVersion) {
      return bad("its version is another program's; use the floe that made it");
    }
    FleetFile file;
    file.http_port = json.at("http_port").get<int>();
    file.postgres_socket = json.at("postgres_socket").get<std::string>();
    for (const auto& [name, ports] : json.at("services").items()) {
      ServicePorts& service = file.services[name];
      service.grpc = ports.at("grpc").get<int>();
      service.side = ports.at("side").get<int>();
      if (!IsPort(service.side)) return bad("a side port is out of range");
    }
    if (!IsPort(file.http_port)) return bad("http_port is out of range");
    if (!file.services.contains("gateway")) return bad("there is no service 'gateway'");
    return file;
  } catch (const nlohmann::json::exception& error) {
    return bad(error.what());
  }
}

absl::StatusOr<FleetFile> ReadFleetFile(const Layout& layout) {
  FLOE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(layout.fleet_file(), 1 << 20));
  absl::StatusOr<FleetFile> file = FleetFile::Parse(bytes);
  if (!file.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(layout.fleet_file().string(), ": ", file.status().message()));
  }
  return file;
}

}  // namespace floe::cli
