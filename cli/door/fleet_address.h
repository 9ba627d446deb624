// Where the fleet is, and with which key to come in.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "absl/status/statusor.h"

namespace floe::cli {

// What a person gave by flags; empty where they gave nothing.
struct AddressFlags {
  std::string dir;   // the fleet's folder on this machine
  std::string door;  // host:port
  std::string http;  // http://host:port
  std::string ca;    // PEM file
  std::string key_file;
  bool insecure = false;  // no TLS at the door; only on the loopback address
};

struct FleetAddress {
  std::string door;
  std::string http;
  std::string ca;  // empty: the system's authorities
  std::string key;
  bool insecure = false;
};

// NAME -> value; empty when it is not set.
using Environment = std::function<std::string(const char*)>;

// Flags, then FLOE_DOOR, FLOE_HTTP, FLOE_CA, FLOE_KEY, FLOE_KEY_FILE, FLOE_INSECURE, then the
// fleet.json in --dir, FLOE_DIR or the nearest `.floe` from `folder` upward. NOT_FOUND says what to
// do when nothing names a fleet; UNAUTHENTICATED when there is no key.
absl::StatusOr<FleetAddress> ResolveFleetAddress(const AddressFlags& flags,
                                                 const Environment& environment,
                                                 const std::filesystem::path& folder);

// The fleet's folder by the same rules; where none is found: `.floe` in `folder`.
std::filesystem::path FleetFolder(const AddressFlags& flags, const Environment& environment,
                                  const std::filesystem::path& folder);

}  // namespace floe::cli
