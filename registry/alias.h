// A name that moves between the versions of one model, and remembers every move.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"

#include "registry/names.h"

namespace floe::registry {

struct AliasMove {
  int64_t from_version = 0;  // 0: the alias was made
  int64_t to_version = 0;
  std::string actor;
  std::string reason;
  absl::Time time;
  bool overridden = false;            // the gates had refused it
  std::vector<std::string> failures;  // what they said
};

struct Alias {
  AliasName name;
  int64_t version = 0;
  std::string digest;  // that version's
  std::string etag;    // another after every move
  absl::Time update_time;
  std::vector<AliasMove> history;  // newest first; may be left out of lists
};

// A model is what its versions and aliases make of it.
struct Model {
  OwnedName name;
  absl::Time create_time;
  int64_t version_count = 0;
  int64_t latest_version = 0;  // 0: all versions were deleted
  std::vector<Alias> aliases;  // by id, without history
};

}  // namespace floe::registry
