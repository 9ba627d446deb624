// Lists in pages (AIP-158): a page token is opaque to callers and belongs to one list.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace floe {

inline constexpr int kDefaultPageSize = 50;
inline constexpr int kMaxPageSize = 1000;

// Items after `after` (the key of the last one seen; empty: from the beginning), at most `size`.
struct Page {
  int size = kDefaultPageSize;
  std::string after;
};

// `list` names what is listed (`teams/nlp/models`); a token of another list is INVALID_ARGUMENT,
// and so is a negative size. Sizes above kMaxPageSize are lowered to it.
absl::StatusOr<Page> ParsePage(std::string_view list, int page_size, std::string_view token);

std::string PageToken(std::string_view list, std::string_view last_key);

// `next` is the key to go on after; empty when these were the last.
template <typename T>
struct Listed {
  std::vector<T> items;
  std::string next;
};

}  // namespace floe
