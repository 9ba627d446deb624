// Where Redis is: the secret `redis-url`.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace floe::gateway::redis {

struct Address {
  std::string socket;  // path of a Unix socket; empty: host and port count
  std::string host;
  int port = 6379;
  std::string user;  // empty: the default user
  std::string password;
  int database = 0;
  bool operator==(const Address&) const = default;

  // For logs: without the password.
  std::string Shown() const;
};

// `redis://[[user]:password@]host[:port][/database]`, `unix:///path/of/socket[?db=1]`, or the path
// of a socket itself. Percent-encoded user and password are decoded. INVALID_ARGUMENT says what is
// wrong, and never repeats the URL: it may hold a password.
absl::StatusOr<Address> ParseAddress(std::string_view url);

}  // namespace floe::gateway::redis
