// The string under a key of a JSON object, with the place of every character in the JSON text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace floe::retrieval {

struct PlacedString {
  std::string text;  // unescaped
  // For every byte of `text` and one past its end: the offset in the JSON text of the character or
  // escape that it comes from.
  std::vector<uint32_t> places;
};

// The value of the last member `key` on the top level of `object`, which must be valid JSON and an
// object; nothing when it is not there or no string. Pure.
std::optional<PlacedString> FindJsonString(std::string_view object, std::string_view key);

// What the inside of a JSON string says: `a\n` (an escape) is `a` and a line feed. `inside` must be
// a whole number of characters and escapes of a valid JSON string.
PlacedString UnescapeJson(std::string_view inside);

}  // namespace floe::retrieval
