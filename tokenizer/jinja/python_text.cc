#include "tokenizer/jinja/python_text.h"

#include <algorithm>

#include "absl/strings/ascii.h"

#include "tokenizer/unicode/utf8.h"

namespace floe::tokenizer::jinja {
namespace {

// The character before `end` > 0.
size_t PreviousStart(std::string_view text, size_t end) {
  const size_t first = end >= 4 ? end - 4 : 0;
  for (size_t begin = first; begin + 1 < end; ++begin) {
    const Utf8Char c = ReadUtf8(text, begin);
    if (c.code_point != kNotUtf8 && begin + c.length == end) return begin;
  }
  return end - 1;
}

}  // namespace

bool IsSpace(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

std::vector<size_t> CharacterBounds(std::string_view text) {
  std::vector<size_t> bounds;
  bounds.reserve(text.size() + 1);
  for (size_t at = 0; at < text.size(); at += ReadUtf8(text, at).length) bounds.push_back(at);
  bounds.push_back(text.size());
  return bounds;
}

SliceRange ResolveSlice(std::optional<int64_t> start, std::optional<int64_t> stop, int64_t step,
                        int64_t size) {
  const int64_t lowest = step > 0 ? 0 : -1, highest = step > 0 ? size : size - 1;
  const auto bound = [&](std::optional<int64_t> index, int64_t missing) {
    if (!index) return missing;
    return std::clamp(*index < 0 ? *index + size : *index, lowest, highest);
  };
  const int64_t from = bound(start, step > 0 ? lowest : highest);
  const int64_t to = bound(stop, step > 0 ? highest : lowest);
  const int64_t distance = step > 0 ? to - from : from - to;
  // No sum of `step`, which may be anything up to 2^63.
  const uint64_t stride =
      step > 0 ? static_cast<uint64_t>(step) : uint64_t{0} - static_cast<uint64_t>(step);
  const int64_t count =
      distance <= 0 ? 0 : static_cast<int64_t>((static_cast<uint64_t>(distance) - 1) / stride) + 1;
  return {from, step, count};
}

Text Strip(const Text& text, bool left, bool right, std::optional<std::string_view> characters) {
  const std::string_view bytes = text.bytes;
  const auto strips = [&](size_t begin, size_t length) {
    if (!characters) return IsSpace(ReadUtf8(bytes, begin).code_point);
    // A character of the set, not a part of one: UTF-8 matches at starts of characters alone.
    return characters->find(bytes.substr(begin, length)) != std::string_view::npos;
  };
  size_t begin = 0, end = bytes.size();
  while (left && begin < end) {
    const size_t length = ReadUtf8(bytes, begin).length;
    if (!strips(begin, length)) break;
    begin += length;
  }
  while (right && end > begin) {
    const size_t start = PreviousStart(bytes, end);
    if (!strips(start, end - start)) break;
    end = start;
  }
  return text.Slice(begin, end - begin);
}

std::vector<Text> Split(const Text& text, std::optional<std::string_view> separator, int64_t most) {
  std::vector<Text> parts;
  const std::string_view bytes = text.bytes;
  if (separator) {
    size_t begin = 0;
    while (most < 0 || static_cast<int64_t>(parts.size()) < most) {
      const size_t found = bytes.find(*separator, begin);
      if (found == std::string_view::npos) break;
      parts.push_back(text.Slice(begin, found - begin));
      begin = found + separator->size();
    }
    parts.push_back(text.Slice(begin, bytes.size() - begin));
    return parts;
  }
  size_t at = 0;
  const auto skip = [&](bool space) {
    while (at < bytes.size() && IsSpace(ReadUtf8(bytes, at).code_point) == space) {
      at += ReadUtf8(bytes, at).length;
    }
  };
  for (skip(true); at < bytes.size(); skip(true)) {
    const size_t begin = at;
    if (most >= 0 && static_cast<int64_t>(parts.size()) == most) {
      parts.push_back(text.Slice(begin, bytes.size() - begin));
      break;
    }
    skip(false);
    parts.push_back(text.Slice(begin, at - begin));
  }
  return parts;
}

Text Replace(const Text& text, std::string_view from, const Text& to) {
  Text result;
  size_t begin = 0;
  for (size_t found = text.bytes.find(from); found != std::string::npos;
       found = text.bytes.find(from, begin)) {
    result.Append(text.Slice(begin, found - begin));
    result.Append(to);
    begin = found + from.size();
  }
  result.Append(text.Slice(begin, text.size() - begin));
  return result;
}

absl::StatusOr<Text> ToCase(Text text, Case wanted) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text.bytes[i]);
    if (!absl::ascii_isascii(c)) {
      return absl::InvalidArgumentError(
          "upper, lower and capitalize of text beyond ASCII are not supported");
    }
    const bool upper = wanted == Case::kUpper || (wanted == Case::kCapitalize && i == 0);
    text.bytes[i] = upper ? absl::ascii_toupper(c) : absl::ascii_tolower(c);
  }
  return text;
}

}  // namespace floe::tokenizer::jinja
