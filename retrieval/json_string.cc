#include "retrieval/json_string.h"

#include <tuple>
#include <utility>

#include "tokenizer/unicode/utf8.h"

namespace floe::retrieval {
namespace {

// From behind the opening quote to the closing one.
size_t StringEnd(std::string_view json, size_t at) {
  while (at < json.size() && json[at] != '"') at += json[at] == '\\' ? 2 : 1;
  return at;
}

char32_t HexOf(std::string_view digits) {
  char32_t value = 0;
  for (const char c : digits) {
    value = value * 16 + static_cast<char32_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  return value;
}

// The character of the escape at `at`, and how many bytes it takes: 2, 6, or 12 for a pair of
// surrogates.
std::pair<char32_t, size_t> ReadEscape(std::string_view inside, size_t at) {
  switch (inside[at + 1]) {
    case 'b':
      return {'\b', 2};
    case 'f':
      return {'\f', 2};
    case 'n':
      return {'\n', 2};
    case 'r':
      return {'\r', 2};
    case 't':
      return {'\t', 2};
    case 'u':
      break;
    default:
      return {static_cast<unsigned char>(inside[at + 1]), 2};
  }
  const char32_t high = HexOf(inside.substr(at + 2, 4));
  if (high < 0xD800 || high > 0xDBFF) return {high, 6};
  // A valid JSON text has the low half right behind.
  const char32_t low = HexOf(inside.substr(at + 8, 4));
  return {0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00), 12};
}

}  // namespace

PlacedString UnescapeJson(std::string_view inside) {
  PlacedString out;
  out.text.reserve(inside.size());
  out.places.reserve(inside.size() + 1);
  for (size_t at = 0; at < inside.size();) {
    size_t taken = 1;
    if (inside[at] == '\\') {
      char32_t character = 0;
      std::tie(character, taken) = ReadEscape(inside, at);
      tokenizer::AppendUtf8(character, out.text);
    } else {
      out.text += inside[at];
    }
    out.places.resize(out.text.size(), static_cast<uint32_t>(at));
    at += taken;
  }
  out.places.push_back(static_cast<uint32_t>(inside.size()));
  return out;
}

std::optional<PlacedString> FindJsonString(std::string_view object, std::string_view key) {
  std::optional<PlacedString> found;
  int depth = 0;
  bool wants_key = false;  // on the top level, before a colon
  bool matches = false;    // the value that comes is the key's
  for (size_t at = 0; at < object.size(); ++at) {
    const char c = object[at];
    if (c == '"') {
      const size_t begin = at + 1;
      at = StringEnd(object, begin);
      const std::string_view inside = object.substr(begin, at - begin);
      if (depth == 1 && wants_key) {
        matches = UnescapeJson(inside).text == key;
      } else if (depth == 1 && matches) {
        found = UnescapeJson(inside);
        for (uint32_t& place : found->places) place += static_cast<uint32_t>(begin);
      }
      continue;
    }
    if (c == '{' || c == '[') {
      if (depth == 1 && matches) found.reset();  // the last member counts, and it is no string
      ++depth;
      wants_key = depth == 1;
    } else if (c == '}' || c == ']') {
      --depth;
    } else if (depth == 1 && c == ',') {
      wants_key = true;
      matches = false;
    } else if (depth == 1 && c == ':') {
      wants_key = false;
    } else if (depth == 1 && matches && !wants_key && c > ' ') {
      found.reset();  // a number or a literal
    }
  }
  return found;
}

}  // namespace floe::retrieval
