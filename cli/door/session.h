// What every command works with: where to write, how, and the way to the fleet.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/door/door.h"
#include "cli/door/fleet_address.h"
#include <nlohmann/json_fwd.hpp>

namespace floe::cli {

// Borrowed.
struct Streams {
  std::istream& in;
  std::ostream& out;  // what was asked for
  std::ostream& err;  // errors, progress, and what is said by the way
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  bool in_is_terminal = false;
  int width = 100;  // columns of the terminal
};

// One command's run. Not thread-safe.
class Session {
 public:
  Session(Streams streams, Environment environment, std::filesystem::path folder)
      : streams(streams), environment(std::move(environment)), folder(std::move(folder)) {}

  const Streams streams;
  const Environment environment;
  const std::filesystem::path folder;  // the current one
  AddressFlags address_flags;
  bool json = false;

  std::ostream& out() { return streams.out; }
  std::ostream& err() { return streams.err; }
  void PrintJson(const nlohmann::ordered_json& json);

  absl::StatusOr<FleetAddress> Address() const;
  std::filesystem::path fleet_folder() const;

  // Opened by the first call.
  absl::StatusOr<Door*> OpenDoor();

  // `teams/<team>/<collection>/<id>` from an id; a full resource name stays as it is.
  absl::StatusOr<std::string> ResourceName(const std::string& collection, const std::string& id);

 private:
  std::unique_ptr<Door> door_;
};

}  // namespace floe::cli
