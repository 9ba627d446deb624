#include "base/yaml/yaml_map.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/view.h"

namespace floe {
namespace {

constexpr size_t kMaxMistakesBytes = 4096;  // gRPC takes about 8 KiB of trailers

}  // namespace

absl::Status JoinMistakes(const std::vector<absl::Status>& statuses) {
  absl::Status joined;
  for (const absl::Status& status : statuses) {
    if (status.ok()) continue;
    if (joined.ok()) {
      joined = status;
    } else if (joined.message().size() + status.message().size() > kMaxMistakesBytes) {
      return absl::Status(joined.code(),
                          absl::StrCat(joined.message(), "\nand more: mend these first"));
    } else {
      joined = absl::Status(joined.code(), absl::StrCat(joined.message(), "\n", status.message()));
    }
  }
  return joined;
}

absl::Status BadYaml(const YAML::Node& node, std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("line ", node.Mark().line + 1, ": ", AbslView(what)));
}

absl::Status ReadYaml(std::string_view text, size_t max_bytes,
                      absl::FunctionRef<absl::Status(const YAML::Node& root)> read) {
  if (text.size() > max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the text has ", text.size(), " bytes; the limit is ", max_bytes));
  }
  try {
    return read(YAML::Load(std::string(text)));
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat("line ", error.mark.line + 1, ": not YAML: ", error.msg));
  }
}

YamlMap::YamlMap(std::string name, const YAML::Node& node) : name_(std::move(name)), node_(node) {
  if (!node_.IsMap()) Fail(BadYaml(node_, name_ + " must be a map of keys and values"));
}

void YamlMap::Fail(absl::Status status) {
  if (!status.ok()) mistakes_.push_back(std::move(status));
}

bool YamlMap::Has(std::string_view key) const {
  return node_.IsMap() && node_[std::string(key)].IsDefined();
}

YAML::Node YamlMap::At(std::string_view key) const {
  return Has(key) ? node_[std::string(key)] : node_;
}

YAML::Node YamlMap::Child(std::string_view key, Presence presence) {
  known_.emplace_back(key);
  if (!node_.IsMap()) return YAML::Node(YAML::NodeType::Undefined);
  if (Has(key)) return node_[std::string(key)];
  if (presence == Presence::kRequired) {
    Fail(BadYaml(node_, absl::StrCat("\"", AbslView(key), "\" is missing in ", name_, "; add it")));
  }
  return YAML::Node(YAML::NodeType::Undefined);
}

YAML::Node YamlMap::Scalar(std::string_view key, Presence presence, std::string_view type) {
  const YAML::Node node = Child(key, presence);
  if (node.IsDefined() && !node.IsScalar()) {
    Fail(BadYaml(node, absl::StrCat(AbslView(key), " must be ", AbslView(type))));
    return YAML::Node(YAML::NodeType::Undefined);
  }
  return node;
}

void YamlMap::WrongValue(std::string_view key, const YAML::Node& node, std::string_view must) {
  Fail(BadYaml(node, absl::StrCat(AbslView(key), " is \"", absl::CHexEscape(node.Scalar()),
                                  "\"; it must be ", AbslView(must))));
}

void YamlMap::Read(std::string_view key, int64_t& value, IntRange range, Presence presence) {
  const YAML::Node node = Scalar(key, presence, "a whole number");
  if (!node.IsDefined()) return;
  int64_t read = 0;
  if (!absl::SimpleAtoi(node.Scalar(), &read)) {
    return WrongValue(key, node, "a whole number");
  }
  if (read < range.least || read > range.most) {
    const std::string must = range.most == INT64_MAX
                                 ? absl::StrCat("at least ", range.least)
                                 : absl::StrCat("between ", range.least, " and ", range.most);
    return WrongValue(key, node, must);
  }
  value = read;
}

void YamlMap::Read(std::string_view key, uint64_t& value) {
  const YAML::Node node = Scalar(key, Presence::kOptional, "a whole number");
  if (!node.IsDefined()) return;
  if (!absl::SimpleAtoi(node.Scalar(), &value)) {
    WrongValue(key, node, "a whole number from 0 on");
  }
}

void YamlMap::Read(std::string_view key, double& value, NumberRange range) {
  const YAML::Node node = Scalar(key, Presence::kOptional, "a number");
  if (!node.IsDefined()) return;
  double read = 0;
  if (!absl::SimpleAtod(node.Scalar(), &read) || !std::isfinite(read)) {
    return WrongValue(key, node, "a number");
  }
  if (read < range.least || read > range.most || (range.above_least && read == range.least) ||
      (range.below_most && read == range.most)) {
    return WrongValue(key, node,
                      absl::StrCat(range.above_least ? "above " : "at least ", range.least, " and ",
                                   range.below_most ? "below " : "at most ", range.most));
  }
  value = read;
}

void YamlMap::Read(std::string_view key, bool& value) {
  const YAML::Node node = Scalar(key, Presence::kOptional, "true or false");
  if (!node.IsDefined()) return;
  if (!YAML::convert<bool>::decode(node, value)) WrongValue(key, node, "true or false");
}

void YamlMap::Read(std::string_view key, std::string& value, Presence presence) {
  const YAML::Node node = Scalar(key, presence, "a string");
  if (node.IsDefined()) value = node.Scalar();
}

absl::Status YamlMap::Finish() const {
  std::vector<absl::Status> mistakes = mistakes_;
  if (!node_.IsMap()) return JoinMistakes(mistakes);
  std::set<std::string> seen;
  for (const auto& entry : node_) {
    if (!entry.first.IsScalar()) {
      mistakes.push_back(BadYaml(entry.first, "a key must be a string"));
      continue;
    }
    const std::string key = entry.first.Scalar();
    const std::string shown = absl::CHexEscape(key);
    if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
      mistakes.push_back(
          BadYaml(entry.first, absl::StrCat("unknown key \"", shown, "\" in ", name_,
                                            "; known are ", absl::StrJoin(known_, ", "))));
    } else if (!seen.insert(key).second) {
      mistakes.push_back(
          BadYaml(entry.first, absl::StrCat("\"", shown, "\" is given twice in ", name_)));
    }
  }
  return JoinMistakes(mistakes);
}

}  // namespace floe
