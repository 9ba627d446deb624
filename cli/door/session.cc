#include "cli/door/session.h"

#include <ostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

#include "base/status_macros.h"

namespace floe::cli {

void Session::PrintJson(const nlohmann::ordered_json& json) { out() << json.dump(2) << "\n"; }

absl::StatusOr<FleetAddress> Session::Address() const {
  return ResolveFleetAddress(address_flags, environment, folder);
}

std::filesystem::path Session::fleet_folder() const {
  return FleetFolder(address_flags, environment, folder);
}

absl::StatusOr<Door*> Session::OpenDoor() {
  if (door_ == nullptr) {
    FLOE_ASSIGN_OR_RETURN(FleetAddress address, Address());
    FLOE_ASSIGN_OR_RETURN(door_, Door::Open(std::move(address)));
  }
  return door_.get();
}

absl::StatusOr<std::string> Session::ResourceName(const std::string& collection,
                                                  const std::string& id) {
  if (absl::StartsWith(id, "teams/")) return id;
  FLOE_ASSIGN_OR_RETURN(Door * door, OpenDoor());
  FLOE_ASSIGN_OR_RETURN(const std::string team, door->Team());
  return absl::StrCat(team, "/", collection, "/", id);
}

}  // namespace floe::cli
