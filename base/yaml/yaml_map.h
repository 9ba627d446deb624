// A YAML map read key by key: what is unknown, repeated, missing or of the wrong type is refused
// with its line.
//
//   return ReadYaml(text, kMaxBytes, [&](const YAML::Node& root) -> absl::Status {
//     YamlMap map("train", root);
//     map.Read("steps", steps, {.least = 1});
//     return map.Finish();
//   });
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include <yaml-cpp/yaml.h>

namespace floe {

// Parses `text` and hands its root over. INVALID_ARGUMENT when it is longer than `max_bytes` or not
// YAML (with the line); else what `read` returns. Exceptions of yaml-cpp stop here.
absl::Status ReadYaml(std::string_view text, size_t max_bytes,
                      absl::FunctionRef<absl::Status(const YAML::Node& root)> read);

// "line 3: <what>" as INVALID_ARGUMENT.
absl::Status BadYaml(const YAML::Node& node, std::string_view what);

// All of several mistakes, one a line, under the code of the first; OK when there is none. A text
// of many mistakes is cut after some kilobytes, so that it fits the status of an RPC.
absl::Status JoinMistakes(const std::vector<absl::Status>& statuses);

struct IntRange {
  int64_t least = 0;
  int64_t most = INT64_MAX;
};
struct NumberRange {
  double least = 0;
  double most = 0;
  bool above_least = false;  // the least itself is refused
  bool below_most = false;   // the most itself is refused
};

enum class Presence { kRequired, kOptional };

// Not thread-safe. Remembers all mistakes, so that a person mends a file once. A key that is not
// there or is wrong leaves its value as it was.
class YamlMap {
 public:
  // `name` is shown in messages: "train".
  YamlMap(std::string name, const YAML::Node& node);

  void Read(std::string_view key, int64_t& value, IntRange range,
            Presence presence = Presence::kOptional);
  void Read(std::string_view key, uint64_t& value);
  void Read(std::string_view key, double& value, NumberRange range);
  void Read(std::string_view key, bool& value);
  void Read(std::string_view key, std::string& value, Presence presence = Presence::kOptional);
  // The node under `key`, or an undefined one.
  YAML::Node Child(std::string_view key, Presence presence = Presence::kOptional);

  bool Has(std::string_view key) const;
  // Where the key's value stands; the map itself when it is not there.
  YAML::Node At(std::string_view key) const;
  void Fail(absl::Status status);

  // All mistakes, unknown and repeated keys included; see JoinMistakes.
  absl::Status Finish() const;

 private:
  // The scalar under `key`, registered as known; undefined when absent or no scalar.
  YAML::Node Scalar(std::string_view key, Presence presence, std::string_view type);
  void WrongValue(std::string_view key, const YAML::Node& node, std::string_view must);

  const std::string name_;
  const YAML::Node node_;
  std::vector<std::string> known_;
  std::vector<absl::Status> mistakes_;
};

}  // namespace floe
