#include "gateway/redis/address.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"

namespace floe::gateway::redis {
namespace {

constexpr int kMaxDatabase = 1023;
constexpr size_t kMaxSocketPath = 107;

absl::Status Wrong(std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("redis-url ", AbslView(what),
                   "; write redis://[:password@]host[:port][/database] or the path of a socket"));
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string PercentDecoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
    const int low = high >= 0 ? HexDigit(text[i + 2]) : -1;
    if (low >= 0) {
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

absl::StatusOr<int> Number(std::string_view text, int least, int most, std::string_view what) {
  int number = 0;
  if (absl::SimpleAtoi(AbslView(text), &number) && number >= least && number <= most) return number;
  return Wrong(absl::StrCat("has a ", AbslView(what), " that is not ", least, " to ", most));
}

absl::StatusOr<Address> ParseSocket(std::string_view path) {
  Address address;
  if (const size_t mark = path.find("?db="); mark != std::string_view::npos) {
    FLOE_ASSIGN_OR_RETURN(address.database,
                          Number(path.substr(mark + 4), 0, kMaxDatabase, "database"));
    path = path.substr(0, mark);
  }
  if (!path.starts_with('/')) return Wrong("names a socket by a path that is not absolute");
  if (path.size() > kMaxSocketPath) return Wrong("names a socket by more than 107 bytes");
  address.socket = path;
  return address;
}

}  // namespace

std::string Address::Shown() const {
  return socket.empty() ? absl::StrCat(host, ":", port, "/", database)
                        : absl::StrCat(socket, "?db=", database);
}

absl::StatusOr<Address> ParseAddress(std::string_view url) {
  if (url.starts_with("unix://")) return ParseSocket(url.substr(7));
  if (url.starts_with('/')) return ParseSocket(url);
  if (url.starts_with("rediss://")) return Wrong("asks for TLS, which this server does not speak");
  if (!url.starts_with("redis://")) return Wrong("has no scheme that is known");
  url.remove_prefix(8);
  Address address;
  if (const size_t at = url.rfind('@'); at != std::string_view::npos) {
    const std::string_view who = url.substr(0, at);
    const size_t colon = who.find(':');
    if (colon == std::string_view::npos) return Wrong("has a user without a password");
    address.user = PercentDecoded(who.substr(0, colon));
    address.password = PercentDecoded(who.substr(colon + 1));
    url.remove_prefix(at + 1);
  }
  if (const size_t slash = url.find('/'); slash != std::string_view::npos) {
    if (slash + 1 < url.size()) {
      FLOE_ASSIGN_OR_RETURN(address.database,
                            Number(url.substr(slash + 1), 0, kMaxDatabase, "database"));
    }
    url = url.substr(0, slash);
  }
  const bool bracketed = url.starts_with('[');  // IPv6
  const size_t host_end = bracketed ? url.find(']') : url.find(':');
  if (bracketed && host_end == std::string_view::npos) return Wrong("has a [ without its ]");
  address.host = bracketed ? url.substr(1, host_end - 1) : url.substr(0, host_end);
  const std::string_view rest =
      host_end == std::string_view::npos ? "" : url.substr(host_end + (bracketed ? 1 : 0));
  if (address.host.empty()) return Wrong("has no host");
  if (rest.empty()) return address;
  if (!rest.starts_with(':')) return Wrong("has something behind its host that is no port");
  FLOE_ASSIGN_OR_RETURN(address.port, Number(rest.substr(1), 1, 65535, "port"));
  return address;
}

}  // namespace floe::gateway::redis
