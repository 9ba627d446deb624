// The fleet's private Postgres: one database `floe`, a role and a schema for each service that has
// one, no TCP port. As root it runs as the user postgres.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/fleet/layout.h"
#include "cli/fleet/service_plan.h"

namespace floe::cli {

// The newest version's folder of server programs below `root`. NOT_FOUND names the Debian package.
absl::StatusOr<std::filesystem::path> FindPostgresPrograms(
    const std::filesystem::path& root = "/usr/lib/postgresql");

// Where the socket goes: the fleet's own run folder, or, where its path would be longer than a Unix
// socket's may be (107 bytes) or the user postgres could not enter it, a folder in /tmp.
std::filesystem::path SocketFolder(const Layout& layout);

// Makes the cluster, database, roles, schemas and the services' connection strings where they are
// missing. Only while no server runs on it: it works without one. What is half-made by a crash is
// made again.
absl::Status PreparePostgres(const Layout& layout, std::span<const std::string> services);

// How the supervisor starts the server. Removes a lock file that a killed server left.
absl::StatusOr<ProcessSpec> PostgresProcess(const Layout& layout);

// Whether the server whose process is `pid` accepts connections.
bool IsPostgresReady(const Layout& layout, pid_t pid);

// Removes what only a running server needs: its socket folder when that is in /tmp.
void RemoveSocketFolder(const Layout& layout);

}  // namespace floe::cli
