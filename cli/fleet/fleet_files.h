// What a fleet needs on disk before it starts.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/fleet/fleet.h"
#include "cli/fleet/fleet_file.h"
#include "cli/fleet/layout.h"

namespace floe::cli {

// The folders, with modes that let the user postgres through to its own and no one to secrets.
absl::Status MakeFolders(const Layout& layout);

// A new admin key unless there is one, in the form of every API key; mode 0600.
absl::Status EnsureAdminKey(const Layout& layout);

// Writes the policy that a new fleet begins with, unless there is one.
absl::Status EnsurePolicy(const Layout& layout);

// The price book of the first day, unless there is one; later books come by `floe bill books`.
absl::Status EnsurePriceBook(const Layout& layout);

// The ports of `before`, where they are free, and free ones for the rest. A port that was asked for
// and is taken is UNAVAILABLE. Tells when HTTP or the door had to move.
absl::StatusOr<FleetFile> ChoosePorts(const Layout& layout, const FleetFile* before,
                                      const UpOptions& options);

// NOT_FOUND names the programs that are not built.
absl::Status CheckPrograms(const std::filesystem::path& programs);

}  // namespace floe::cli
