#include "model/shard_index.h"

#include "absl/strings/str_cat.h"

#include "base/json/strict_json.h"
#include "base/status_macros.h"

namespace floe::model {
namespace {

bool IsPlainName(std::string_view name) {
  return !name.empty() && name.size() <= 255 && name[0] != '.' &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos &&
         name.ends_with(".safetensors");
}

}  // namespace

absl::StatusOr<std::map<std::string, std::string>> ParseShardIndex(std::string_view json) {
  FLOE_ASSIGN_OR_RETURN(const nlohmann::json root, ParseStrictJson(json, "the index"));
  const auto map = root.is_object() ? root.find("weight_map") : root.end();
  if (!root.is_object() || map == root.end() || !map->is_object() || map->empty()) {
    return absl::InvalidArgumentError("the index has no weight_map of tensors to files");
  }
  std::map<std::string, std::string> files;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string() || !IsPlainName(file.get_ref<const std::string&>())) {
      return absl::InvalidArgumentError(absl::StrCat("weight_map puts ", tensor.substr(0, 120),
                                                     " into ", ShownJson(file),
                                                     "; a *.safetensors file beside it is meant"));
    }
    files[tensor] = file.get<std::string>();
  }
  return files;
}

}  // namespace floe::model
