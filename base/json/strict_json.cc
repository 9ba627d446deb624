#include "base/json/strict_json.h"

#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"

#include "base/view.h"

namespace floe {
using Json = nlohmann::json;

bool NestsTooDeep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxJsonDepth) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

absl::StatusOr<Json> ParseStrictJson(std::string_view text, std::string_view what) {
  const auto bad = [&](std::string_view mistake) {
    return absl::InvalidArgumentError(absl::StrCat(AbslView(what), " ", AbslView(mistake)));
  };
  if (NestsTooDeep(text)) {
    return bad(absl::StrCat("nests deeper than ", kMaxJsonDepth, " levels"));
  }
  std::string twice;
  // The members seen so far of every open object.
  std::vector<absl::flat_hash_set<std::string>> open;
  const auto watch = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) open.emplace_back();
    if (event == Json::parse_event_t::object_end) open.pop_back();
    if (event == Json::parse_event_t::key &&
        !open.back().insert(parsed.get_ref<const std::string&>()).second) {
      twice = ShownJson(parsed);
    }
    return true;
  };
  try {
    Json root = Json::parse(text, watch);
    if (!twice.empty()) return bad(absl::StrCat("holds the member ", twice, " twice"));
    return root;
  } catch (const Json::exception& error) {
    return bad(absl::StrCat("is not JSON: ", error.what()));
  }
}

std::string ShownJson(const Json& value) {
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  return text;
}

}  // namespace floe
