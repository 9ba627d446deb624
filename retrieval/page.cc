#include "retrieval/page.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "base/sha256.h"
#include "base/view.h"

namespace floe::retrieval {
namespace {

// What ties a token to its list: enough to catch a mistake, no secret.
constexpr size_t kMarkBytes = 8;

std::string MarkOf(std::string_view list) { return Sha256::Hex(list).substr(0, kMarkBytes); }

}  // namespace

absl::StatusOr<Page> ParsePage(std::string_view list, int page_size, std::string_view token) {
  if (page_size < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "page_size is ", page_size, "; give a positive number, or 0 for ", kDefaultPageSize));
  }
  Page page;
  if (page_size > 0) page.size = std::min(page_size, kMaxPageSize);
  if (token.empty()) return page;
  std::string plain;
  if (!absl::WebSafeBase64Unescape(AbslView(token), &plain) || plain.size() <= kMarkBytes ||
      plain.substr(0, kMarkBytes) != MarkOf(list)) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_token does not belong to the list ", AbslView(list),
                     "; send next_page_token of that list's answer as it came"));
  }
  page.after = plain.substr(kMarkBytes);
  return page;
}

std::string PageToken(std::string_view list, std::string_view last_key) {
  if (last_key.empty()) return {};
  return absl::WebSafeBase64Escape(absl::StrCat(MarkOf(list), AbslView(last_key)));
}

}  // namespace floe::retrieval
