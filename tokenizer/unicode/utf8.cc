#include "tokenizer/unicode/utf8.h"

#include <algorithm>
#include <cstdint>

namespace floe::tokenizer {
namespace {

// The well-formed sequences of table 3-7 of the Unicode Standard, by their first byte.
struct Lead {
  size_t length;       // 0: starts nothing
  uint8_t second_min;  // range of the second byte; later bytes are 80..BF
  uint8_t second_max;
};

Lead LeadOf(uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

// How many bytes from `position` are a (possibly partial) well-formed sequence: lead.length when
// whole.
size_t WellFormedPrefix(std::string_view text, size_t position, const Lead& lead) {
  const size_t available = std::min(lead.length, text.size() - position);
  size_t good = std::min<size_t>(available, 1);
  for (; good < available; ++good) {
    const auto byte = static_cast<uint8_t>(text[position + good]);
    const uint8_t min = good == 1 ? lead.second_min : 0x80;
    const uint8_t max = good == 1 ? lead.second_max : 0xBF;
    if (byte < min || byte > max) break;
  }
  return good;
}

}  // namespace

Utf8Char ReadUtf8(std::string_view text, size_t position) {
  const auto first = static_cast<uint8_t>(text[position]);
  const Lead lead = LeadOf(first);
  if (lead.length == 1) return {first, 1};
  if (lead.length == 0 || WellFormedPrefix(text, position, lead) != lead.length) {
    return {kNotUtf8, 1};
  }
  char32_t code_point = first & (0x7F >> lead.length);
  for (size_t i = 1; i < lead.length; ++i) {
    code_point = (code_point << 6) | (static_cast<uint8_t>(text[position + i]) & 0x3F);
  }
  return {code_point, lead.length};
}

Utf8Char ReadUtf8Before(std::string_view text, size_t end) {
  size_t begin = end - 1;
  while (begin > 0 && end - begin < 4 && (text[begin] & 0xC0) == 0x80) --begin;
  const Utf8Char c = ReadUtf8(text, begin);
  return begin + c.length == end ? c : Utf8Char{kNotUtf8, 1};
}

size_t IncompleteUtf8Tail(std::string_view text) {
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    const size_t position = text.size() - back;
    const auto byte = static_cast<uint8_t>(text[position]);
    if ((byte & 0xC0) == 0x80) continue;
    const Lead lead = LeadOf(byte);
    return lead.length > back && WellFormedPrefix(text, position, lead) == back ? back : 0;
  }
  return 0;
}

std::string ReplaceInvalidUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  size_t position = 0;
  while (position < text.size()) {
    const Lead lead = LeadOf(static_cast<uint8_t>(text[position]));
    const size_t good = lead.length == 0 ? 0 : WellFormedPrefix(text, position, lead);
    if (good != 0 && good == lead.length) {
      out.append(text.substr(position, good));
    } else {
      out.append("\xEF\xBF\xBD");
    }
    position += std::max<size_t>(good, 1);
  }
  return out;
}

void AppendUtf8(char32_t code_point, std::string& out) {
  const auto byte = [&out](uint32_t value) { out.push_back(static_cast<char>(value)); };
  if (code_point < 0x80) {
    byte(code_point);
  } else if (code_point < 0x800) {
    byte(0xC0 | (code_point >> 6));
    byte(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    byte(0xE0 | (code_point >> 12));
    byte(0x80 | ((code_point >> 6) & 0x3F));
    byte(0x80 | (code_point & 0x3F));
  } else {
    byte(0xF0 | (code_point >> 18));
    byte(0x80 | ((code_point >> 12) & 0x3F));
    byte(0x80 | ((code_point >> 6) & 0x3F));
    byte(0x80 | (code_point & 0x3F));
  }
}

}  // namespace floe::tokenizer
