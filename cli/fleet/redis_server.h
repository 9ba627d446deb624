// The fleet's private Redis: limits and cached answers. It keeps nothing on disk and has no TCP
// port; what it forgets is counted and computed again.
#pragma once

#include <sys/types.h>

#include <filesystem>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/fleet/layout.h"
#include "cli/fleet/service_plan.h"

namespace floe::cli {

// The server's program. NOT_FOUND names the Debian package.
absl::StatusOr<std::filesystem::path> FindRedisProgram(
    const std::filesystem::path& program = "/usr/bin/redis-server");

// Where its socket goes: the fleet's own run folder, or, where its path would be longer than a Unix
// socket's may be (107 bytes), a folder in /tmp.
std::filesystem::path RedisSocket(const Layout& layout);

// Writes layout.redis_url() and makes the socket's folder.
absl::Status PrepareRedis(const Layout& layout);

// How the supervisor starts the server.
absl::StatusOr<ProcessSpec> RedisProcess(const Layout& layout);

// Whether the server answers. Blocks at most a second.
bool IsRedisReady(const Layout& layout);

// Removes what only a running server needs.
void RemoveRedisSocket(const Layout& layout);

}  // namespace floe::cli
