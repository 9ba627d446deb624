#include "cli/fleet/fleet_files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/fleet/default_policy.h"
#include "cli/fleet/default_prices.h"
#include "cli/fleet/ports.h"
#include "cli/fleet/postgres_server.h"
#include "cli/fleet/service_plan.h"

#include "base/files.h"
#include "base/status_macros.h"
#include "gateway/auth/secret.h"

namespace floe::cli {
namespace {

constexpr int kHttpPort = 8080;

absl::Status MakeFolder(const std::filesystem::path& folder, mode_t mode) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error || ::chmod(folder.c_str(), mode) != 0) {
    return ErrnoStatus(error ? error.value() : errno,
                       absl::StrCat("cannot make ", folder.string()));
  }
  return absl::OkStatus();
}

absl::StatusOr<int> Choose(std::optional<int> asked, int before, std::set<int>& taken,
                           const char* what, const UpOptions& options) {
  if (asked) {
    if (!IsPortFree(*asked) || !taken.insert(*asked).second) {
      return absl::UnavailableError(absl::StrCat("port ", *asked, ", asked for ", what,
                                                 ", is taken; free it (ss -ltnp 'sport = :", *asked,
                                                 "' shows by whom) or ask for another"));
    }
    return *asked;
  }
  if (before != 0 && IsPortFree(before) && taken.insert(before).second) return before;
  FLOE_ASSIGN_OR_RETURN(const int chosen, ChoosePort(taken));
  if (before != 0 && options.tell != nullptr && *what != '\0') {
    options.tell(absl::StrCat("port ", before, " is taken; ", what, " is at ", chosen));
  }
  return chosen;
}

}  // namespace

absl::Status MakeFolders(const Layout& layout) {
  // Others may pass (x) but not look: postgres runs as another user when this one is root.
  FLOE_RETURN_IF_ERROR(MakeFolder(layout.root(), 0711));
  FLOE_RETURN_IF_ERROR(MakeFolder(layout.run(), 0711));
  FLOE_RETURN_IF_ERROR(MakeFolder(layout.postgres(), 0711));
  for (const auto& folder : {layout.certs(), layout.blobs(), layout.cache(), layout.work(),
                             layout.logs(), layout.journals()}) {
    FLOE_RETURN_IF_ERROR(MakeFolder(folder, 0700));
  }
  return absl::OkStatus();
}

absl::Status EnsureAdminKey(const Layout& layout) {
  std::error_code error;
  if (std::filesystem::exists(layout.admin_key(), error)) return absl::OkStatus();
  const mode_t before = ::umask(077);
  const absl::Status status =
      WriteFileAtomically(layout.admin_key(), absl::StrCat(gateway::NewSecret(), "\n"));
  ::umask(before);
  return status;
}

absl::Status EnsurePolicy(const Layout& layout) {
  std::error_code error;
  if (std::filesystem::exists(layout.policy(), error)) return absl::OkStatus();
  return WriteFileAtomically(layout.policy(), DefaultPolicy());
}

absl::Status EnsurePriceBook(const Layout& layout) {
  std::error_code error;
  if (std::filesystem::exists(layout.price_book(), error)) return absl::OkStatus();
  return WriteFileAtomically(layout.price_book(), kDefaultPrices);
}

absl::StatusOr<FleetFile> ChoosePorts(const Layout& layout, const FleetFile* before,
                                      const UpOptions& options) {
  FleetFile fleet;
  fleet.postgres_socket = SocketFolder(layout).string();
  std::set<int> taken;
  const auto old = [&](const std::string& service) {
    if (before == nullptr || !before->services.contains(service)) return ServicePorts{};
    return before->services.at(service);
  };
  FLOE_ASSIGN_OR_RETURN(
      fleet.http_port,
      Choose(options.http_port, before ? before->http_port : kHttpPort, taken, "HTTP", options));
  for (const ServiceKind& kind : FleetServices()) {
    const std::string name(kind.name);
    const bool door = name == "gateway";
    ServicePorts& ports = fleet.services[name];
    if (kind.grpc) {
      FLOE_ASSIGN_OR_RETURN(ports.grpc,
                            Choose(door ? options.door_port : std::nullopt, old(name).grpc, taken,
                                   door ? "the door" : "", options));
    }
    FLOE_ASSIGN_OR_RETURN(ports.side, Choose(std::nullopt, old(name).side, taken, "", options));
  }
  return fleet;
}

absl::Status CheckPrograms(const std::filesystem::path& programs) {
  std::vector<std::string> missing;
  for (const ServiceKind& kind : FleetServices()) {
    const std::string program = absl::StrCat("floe-", std::string(kind.name));
    if (::access((programs / program).c_str(), X_OK) != 0) missing.push_back(program);
  }
  if (missing.empty()) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("not built in ", programs.string(), ": ",
                                          absl::StrJoin(missing, ", "),
                                          "; run ./dev build, or name another folder with "
                                          "--programs"));
}

}  // namespace floe::cli
