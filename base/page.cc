#include "base/page.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "base/sha256.h"
#include "base/view.h"

namespace floe {
namespace {

// Enough of a digest to tell lists apart; tokens are no secret and no right.
constexpr size_t kListMarkBytes = 8;

std::string ListMark(std::string_view list) { return Sha256::Hex(list).substr(0, kListMarkBytes); }

}  // namespace

absl::StatusOr<Page> ParsePage(std::string_view list, int page_size, std::string_view token) {
  if (page_size < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_size is ", page_size, "; give 0 for the default or a positive number"));
  }
  Page page;
  if (page_size > 0) page.size = std::min(page_size, kMaxPageSize);
  if (token.empty()) return page;
  std::string plain;
  if (!absl::WebSafeBase64Unescape(AbslView(token), &plain) || plain.size() <= kListMarkBytes ||
      plain.substr(0, kListMarkBytes) != ListMark(list)) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_token is not one that listing ", AbslView(list),
                     " has given; send next_page_token of the previous answer unchanged"));
  }
  page.after = plain.substr(kListMarkBytes);
  return page;
}

std::string PageToken(std::string_view list, std::string_view last_key) {
  if (last_key.empty()) return {};
  return absl::WebSafeBase64Escape(absl::StrCat(ListMark(list), AbslView(last_key)));
}

}  // namespace floe
