#include "tokenizer/train_spec.h"

#include <algorithm>
#include <array>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include <yaml-cpp/yaml.h>

#include "base/resource_name.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "base/view.h"

namespace floe::tokenizer {
namespace {

constexpr size_t kMaxSpecBytes = 1 << 16;
constexpr size_t kMaxSpecialTokens = 1024;
constexpr std::array kKeys = {"name",    "dataset",        "vocab_size",
                              "pattern", "special_tokens", "max_memory_mb"};
constexpr char kKeyList[] = "name, dataset, vocab_size, pattern, special_tokens, max_memory_mb";
constexpr int64_t kMaxMemoryMegabytes = int64_t{1} << 30;

absl::Status Bad(const YAML::Node& node, std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("line ", node.Mark().line + 1, ": ", AbslView(what)));
}

bool IsDatasetReference(std::string_view text) {
  const size_t at = text.find('@');
  if (at != std::string_view::npos) {
    const std::string_view digest = text.substr(at + 1);
    if (!digest.starts_with("sha256:") || !IsSha256Hex(digest.substr(7))) return false;
    text = text.substr(0, at);
  }
  return IsResourceId(text) || ParseResourceName(text, {"teams", "datasets"}).ok();
}

absl::StatusOr<std::string> ReadText(const YAML::Node& node, std::string_view key) {
  if (!node.IsScalar()) return Bad(node, absl::StrCat(AbslView(key), " must be a string"));
  return node.Scalar();
}

absl::Status ReadSpecialTokens(const YAML::Node& node, TrainSpec& spec) {
  if (!node.IsSequence() || node.size() > kMaxSpecialTokens) {
    return Bad(node, absl::StrCat("special_tokens must be a list of at most ", kMaxSpecialTokens,
                                  " strings"));
  }
  spec.options.special_tokens.clear();
  for (const YAML::Node& token : node) {
    FLOE_ASSIGN_OR_RETURN(std::string content, ReadText(token, "each of special_tokens"));
    spec.options.special_tokens.push_back(std::move(content));
  }
  return absl::OkStatus();
}

absl::Status ReadValue(const std::string& key, const YAML::Node& node, TrainSpec& spec) {
  if (key == "special_tokens") return ReadSpecialTokens(node, spec);
  FLOE_ASSIGN_OR_RETURN(const std::string value, ReadText(node, key));
  const std::string shown = absl::CHexEscape(value);
  if (key == "name") {
    spec.name = value;
    if (!IsResourceId(value)) {
      return Bad(node, absl::StrCat("name is \"", shown,
                                    "\"; an id is 1 to 63 of a-z 0-9 - _ . "
                                    "and starts with a letter or digit"));
    }
  } else if (key == "dataset") {
    spec.dataset = value;
    if (!IsDatasetReference(value)) {
      return Bad(node, absl::StrCat("dataset is \"", shown,
                                    "\"; write its id or teams/<team>/datasets/<id>, with "
                                    "@sha256:<digest> for one revision"));
    }
  } else if (key == "vocab_size") {
    if (!YAML::convert<int>::decode(node, spec.options.vocab_size)) {
      return Bad(node, absl::StrCat("vocab_size is \"", shown, "\"; it must be a whole number"));
    }
  } else if (key == "max_memory_mb") {
    int64_t megabytes = 0;
    if (!YAML::convert<int64_t>::decode(node, megabytes) || megabytes < 1 ||
        megabytes > kMaxMemoryMegabytes) {
      return Bad(node, absl::StrCat("max_memory_mb is \"", shown, "\"; it must be from 1 to ",
                                    kMaxMemoryMegabytes));
    }
    spec.options.max_memory_bytes = megabytes << 20;
  } else if (key == "pattern") {
    const std::optional<Pattern> pattern = PatternFromName(value);
    if (!pattern) {
      return Bad(node,
                 absl::StrCat("pattern is \"", shown, "\"; known are gpt2, cl100k, qwen2, o200k"));
    }
    spec.options.pattern = *pattern;
  }
  return absl::OkStatus();
}

absl::StatusOr<TrainSpec> ReadSpec(const YAML::Node& root) {
  if (!root.IsMap()) {
    return absl::InvalidArgumentError(absl::StrCat("the specification must be a map of ", kKeyList,
                                                   "; at least name and dataset"));
  }
  TrainSpec spec;
  std::set<std::string> seen;
  for (const auto& entry : root) {
    FLOE_ASSIGN_OR_RETURN(const std::string key, ReadText(entry.first, "a key"));
    const std::string shown = absl::CHexEscape(key);
    if (std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end()) {
      return Bad(entry.first, absl::StrCat("unknown key \"", shown, "\"; known are ", kKeyList));
    }
    if (!seen.insert(key).second) {
      return Bad(entry.first, absl::StrCat("\"", shown, "\" is given twice"));
    }
    FLOE_RETURN_IF_ERROR(ReadValue(key, entry.second, spec));
  }
  for (const char* key : {"name", "dataset"}) {
    if (seen.contains(key)) continue;
    return absl::InvalidArgumentError(absl::StrCat("\"", key, "\" is missing; add it"));
  }
  // What the trainer would refuse is refused before the job is queued.
  FLOE_RETURN_IF_ERROR(Trainer::Create(spec.options).status());
  return spec;
}

}  // namespace

absl::StatusOr<TrainSpec> ParseTrainSpec(std::string_view text) {
  if (text.size() > kMaxSpecBytes) {
    return absl::InvalidArgumentError(absl::StrCat("the specification has ", text.size(),
                                                   " bytes; the limit is ", kMaxSpecBytes));
  }
  try {
    return ReadSpec(YAML::Load(std::string(text)));
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat("line ", error.mark.line + 1, ": not YAML: ", error.msg));
  }
}

std::string TrainSpecJson(const TrainSpec& spec) {
  nlohmann::ordered_json json;
  json["name"] = spec.name;
  json["dataset"] = spec.dataset;
  json["vocab_size"] = spec.options.vocab_size;
  json["pattern"] = std::string(PatternName(spec.options.pattern));
  json["special_tokens"] = spec.options.special_tokens;
  json["max_memory_mb"] = spec.options.max_memory_bytes >> 20;
  return json.dump();
}

}  // namespace floe::tokenizer
