#include "cli/door/fleet_address.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/fleet/fleet_file.h"
#include "cli/fleet/layout.h"

#include "base/files.h"
#include "base/status_macros.h"

namespace floe::cli {
namespace {

bool IsLoopback(const std::string& address) {
  return absl::StartsWith(address, "127.") || absl::StartsWith(address, "localhost:") ||
         absl::StartsWith(address, "[::1]:");
}

std::string FirstOf(std::string first, std::string second) {
  return first.empty() ? second : first;
}

absl::StatusOr<std::string> ReadKey(const std::string& file) {
  absl::StatusOr<std::string> bytes = ReadFile(file, 4096);
  if (!bytes.ok()) {
    return absl::UnauthenticatedError(absl::StrCat("the key file: ", bytes.status().message()));
  }
  return std::string(absl::StripAsciiWhitespace(*bytes));
}

// Fills what flags and variables left open from the fleet on this machine; a door that was named is
// another fleet's, of which that folder knows nothing.
absl::Status FillFromFolder(const std::filesystem::path& folder, FleetAddress& address,
                            std::string& key_file) {
  const Layout layout(folder);
  FLOE_ASSIGN_OR_RETURN(const FleetFile fleet, ReadFleetFile(layout));
  if (!address.door.empty() && address.door != fleet.door()) return absl::OkStatus();
  address.door = fleet.door();
  address.http = FirstOf(address.http, fleet.http());
  if (!address.insecure) address.ca = FirstOf(address.ca, layout.certs() / "ca.pem");
  if (address.key.empty()) key_file = FirstOf(key_file, layout.admin_key());
  return absl::OkStatus();
}

}  // namespace

std::filesystem::path FleetFolder(const AddressFlags& flags, const Environment& environment,
                                  const std::filesystem::path& folder) {
  const std::string named = FirstOf(flags.dir, environment("FLOE_DIR"));
  if (!named.empty()) return named;
  const std::filesystem::path found = FindFleetFolder(folder);
  return found.empty() ? folder / ".floe" : found;
}

absl::StatusOr<FleetAddress> ResolveFleetAddress(const AddressFlags& flags,
                                                 const Environment& environment,
                                                 const std::filesystem::path& folder) {
  FleetAddress address;
  address.door = FirstOf(flags.door, environment("FLOE_DOOR"));
  address.http = FirstOf(flags.http, environment("FLOE_HTTP"));
  address.ca = FirstOf(flags.ca, environment("FLOE_CA"));
  address.insecure = flags.insecure || !environment("FLOE_INSECURE").empty();
  if (flags.key_file.empty()) address.key = environment("FLOE_KEY");
  std::string key_file = FirstOf(flags.key_file, environment("FLOE_KEY_FILE"));
  if (address.door.empty() || address.http.empty()) {
    const std::filesystem::path fleet = FleetFolder(flags, environment, folder);
    const absl::Status status = FillFromFolder(fleet, address, key_file);
    if (!status.ok() && !absl::IsNotFound(status)) return status;
  }
  if (address.door.empty()) {
    return absl::NotFoundError(
        "no fleet: there is no .floe/fleet.json here or in a folder above, and FLOE_DOOR is not "
        "set; start one with `floe up`, or name one with --door host:port");
  }
  if (address.key.empty() && !key_file.empty()) {
    FLOE_ASSIGN_OR_RETURN(address.key, ReadKey(key_file));
  }
  if (address.key.empty()) {
    return absl::UnauthenticatedError(
        "no API key: set FLOE_KEY or FLOE_KEY_FILE (an admin makes one with `floe keys create`)");
  }
  if (address.insecure && !IsLoopback(address.door)) {
    return absl::InvalidArgumentError(absl::StrCat("--insecure is for the loopback address, not ",
                                                   address.door, "; give --ca instead"));
  }
  return address;
}

}  // namespace floe::cli
