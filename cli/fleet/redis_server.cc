#include "cli/fleet/redis_server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "absl/strings/str_cat.h"

#include "base/files.h"
#include "base/status_macros.h"

namespace floe::cli {
namespace {

constexpr size_t kMaxSocketPath = 107;
constexpr char kMemory[] = "256mb";  // of cached answers; the oldest go first

std::filesystem::path SharedFolder(const Layout& layout) {
  return absl::StrCat("/tmp/floe-", layout.short_id(), "-redis");
}

// A folder of mode 0700 that is ours, and no one else's trap.
absl::Status MakeOwnFolder(const std::filesystem::path& folder) {
  struct stat info;
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("cannot make ", folder.string()));
  }
  if (::lstat(folder.c_str(), &info) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot look at ", folder.string()));
  }
  if (S_ISDIR(info.st_mode) && info.st_uid == ::geteuid()) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat(folder.string(), " belongs to another user; remove it"));
}

}  // namespace

absl::StatusOr<std::filesystem::path> FindRedisProgram(const std::filesystem::path& program) {
  std::error_code none;
  if (std::filesystem::exists(program, none)) return program;
  return absl::NotFoundError(absl::StrCat("Redis is not installed (no ", program.string(),
                                          "); install the Debian package redis-server: apt-get "
                                          "install redis-server"));
}

std::filesystem::path RedisSocket(const Layout& layout) {
  const std::filesystem::path own = layout.run() / "redis.sock";
  if (own.string().size() <= kMaxSocketPath) return own;
  return SharedFolder(layout) / "redis.sock";
}

absl::Status PrepareRedis(const Layout& layout) {
  FLOE_RETURN_IF_ERROR(FindRedisProgram().status());
  const std::filesystem::path socket = RedisSocket(layout);
  if (socket.parent_path() == SharedFolder(layout)) {
    FLOE_RETURN_IF_ERROR(MakeOwnFolder(socket.parent_path()));
  }
  return WriteFileAtomically(layout.redis_url(), absl::StrCat("unix://", socket.string(), "\n"));
}

absl::StatusOr<ProcessSpec> RedisProcess(const Layout& layout) {
  FLOE_ASSIGN_OR_RETURN(const std::filesystem::path program, FindRedisProgram());
  return ProcessSpec{
      .name = "redis",
      .argv = {program, "--port", "0", "--unixsocket", RedisSocket(layout), "--unixsocketperm",
               "700", "--save", "", "--appendonly", "no", "--dir", layout.run(), "--maxmemory",
               kMemory, "--maxmemory-policy", "allkeys-lru"},
      .stop_grace_seconds = 10};
}

bool IsRedisReady(const Layout& layout) {
  const std::string path = RedisSocket(layout).string();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() > kMaxSocketPath) return false;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const timeval patience{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  constexpr std::string_view kPing = "PING\r\n";
  constexpr std::string_view kPong = "+PONG";
  char answer[kPong.size()] = {};
  const bool ready =
      ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
      ::send(fd, kPing.data(), kPing.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(kPing.size()) &&
      ::recv(fd, answer, sizeof(answer), MSG_WAITALL) == static_cast<ssize_t>(sizeof(answer)) &&
      std::string_view(answer, sizeof(answer)) == kPong;
  ::close(fd);
  return ready;
}

void RemoveRedisSocket(const Layout& layout) {
  std::error_code error;
  std::filesystem::remove(RedisSocket(layout), error);
  std::filesystem::remove_all(SharedFolder(layout), error);
}

}  // namespace floe::cli
