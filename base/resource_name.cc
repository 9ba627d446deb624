#include "base/resource_name.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "base/view.h"

namespace floe {

bool IsResourceId(std::string_view id) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !id.empty() && id.size() <= 63 && plain(id[0]) &&
         std::all_of(id.begin(), id.end(),
                     [&](char c) { return plain(c) || c == '-' || c == '_' || c == '.'; });
}

absl::StatusOr<std::vector<std::string>> ParseResourceName(
    std::string_view name, std::initializer_list<std::string_view> collections) {
  const std::vector<std::string> parts = absl::StrSplit(AbslView(name), '/');
  std::vector<std::string> ids;
  bool fits = parts.size() == collections.size() * 2;
  size_t i = 0;
  for (std::string_view collection : collections) {
    if (!fits) break;
    fits = parts[i] == collection && IsResourceId(parts[i + 1]);
    ids.push_back(parts[i + 1]);
    i += 2;
  }
  if (fits) return ids;
  std::string expected;
  for (std::string_view collection : collections) {
    absl::StrAppend(&expected, expected.empty() ? "" : "/", AbslView(collection), "/<id>");
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", AbslView(name), "' is not a resource name of the form ", expected,
                   " (an id is 1 to 63 of a-z 0-9 - _ . and starts with a letter or digit)"));
}

}  // namespace floe
