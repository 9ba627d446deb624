#include "cli/fleet/ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>

namespace floe::cli {
namespace {

constexpr int kFirst = 20000;
constexpr int kLast = 31999;  // Linux takes outgoing ports from 32768 on

}  // namespace

bool IsPortFree(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  // As servers do: a port whose last connections are in TIME_WAIT is free.
  const int yes = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool free = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
                    ::listen(fd, 1) == 0;
  ::close(fd);
  return free;
}

absl::StatusOr<int> ChoosePort(std::set<int>& taken) {
  std::random_device random;
  for (int attempt = 0; attempt < 200; ++attempt) {
    const int port = kFirst + static_cast<int>(random() % (kLast - kFirst + 1));
    if (taken.contains(port) || !IsPortFree(port)) continue;
    taken.insert(port);
    return port;
  }
  return absl::UnavailableError(
      "no free port found between 20000 and 31999 on 127.0.0.1; stop what listens there");
}

}  // namespace floe::cli
