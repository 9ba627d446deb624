#include "model/canonical_json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/json/strict_json.h"
#include "base/status_macros.h"
#include "base/view.h"

namespace floe::model {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxWhole = uint64_t{1} << 53;

// Order by UTF-16 code units, read off UTF-8: the two differ only where a character outside the
// basic plane (first byte F0 and up, surrogates D800 to DFFF) meets one of U+E000 to U+FFFF (EE,
// EF).
bool Utf16Less(const std::string& a, const std::string& b) {
  const auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (x == a.end() || y == b.end()) return x == a.end() && y != b.end();
  const auto rank = [](char c) {
    const unsigned char byte = static_cast<unsigned char>(c);
    if (byte >= 0xf0) return int{0xee} * 2 - 1;
    return int{byte} * 2;
  };
  const int rank_x = rank(*x);
  const int rank_y = rank(*y);
  if (rank_x != rank_y) return rank_x < rank_y;
  return static_cast<unsigned char>(*x) < static_cast<unsigned char>(*y);
}

void AppendString(const std::string& text, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out.push_back('"');
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += "\\u00";
          out.push_back(kHex[c >> 4]);
          out.push_back(kHex[c & 15]);
        } else {
          out.push_back(c);
        }
    }
  }
  out.push_back('"');
}

bool TooLarge(const Json& number) {
  if (number.is_number_float()) {
    // From 1e21 on its canonical form has an exponent; below it would be a whole number, too large.
    const double value = std::fabs(number.get<double>());
    return value > static_cast<double>(kMaxWhole) && value < 1e21;
  }
  if (number.is_number_unsigned()) return number.get<uint64_t>() > kMaxWhole;
  return number.is_number_integer() && number.get<int64_t>() < -static_cast<int64_t>(kMaxWhole);
}

absl::Status Append(const Json& value, std::string& out) {
  if (value.is_object()) {
    std::vector<std::string> keys;
    for (const auto& [key, member] : value.items()) keys.push_back(key);
    std::sort(keys.begin(), keys.end(), Utf16Less);
    out.push_back('{');
    for (const std::string& key : keys) {
      if (out.back() != '{') out.push_back(',');
      AppendString(key, out);
      out.push_back(':');
      FLOE_RETURN_IF_ERROR(Append(value[key], out));
    }
    out.push_back('}');
  } else if (value.is_array()) {
    out.push_back('[');
    for (size_t i = 0; i < value.size(); ++i) {
      if (i > 0) out.push_back(',');
      FLOE_RETURN_IF_ERROR(Append(value[i], out));
    }
    out.push_back(']');
  } else if (value.is_string()) {
    AppendString(value.get_ref<const std::string&>(), out);
  } else if (value.is_number() && TooLarge(value)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the text holds ", value.dump(), ", a whole number beyond 2^53 that readers would round"));
  } else if (value.is_number_float()) {
    out += CanonicalNumber(value.get<double>());
  } else {
    out += value.dump();  // null, true, false, whole numbers
  }
  return absl::OkStatus();
}

}  // namespace

std::string CanonicalNumber(double value) {
  if (value == 0) return "0";  // also for -0
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), std::fabs(value),
                                 std::chars_format::scientific);
  const std::string_view text(buffer, end.ptr - buffer);
  const size_t e = text.find('e');
  std::string digits;
  for (const char c : text.substr(0, e)) {
    if (c != '.') digits.push_back(c);
  }
  int exponent = 0;
  const size_t sign = text[e + 1] == '+' ? 2 : 1;  // from_chars takes a minus, but no plus
  std::from_chars(text.data() + e + sign, text.data() + text.size(), exponent);

  const int k = static_cast<int>(digits.size());
  const int n = exponent + 1;  // the decimal point stands after n digits
  std::string out = value < 0 ? "-" : "";
  if (k <= n && n <= 21) {
    absl::StrAppend(&out, digits, std::string(n - k, '0'));
  } else if (0 < n && n <= 21) {
    absl::StrAppend(&out, digits.substr(0, n), ".", digits.substr(n));
  } else if (-6 < n && n <= 0) {
    absl::StrAppend(&out, "0.", std::string(-n, '0'), digits);
  } else {
    absl::StrAppend(&out, digits.substr(0, 1), k > 1 ? "." : "", digits.substr(1), "e",
                    n > 0 ? "+" : "-", std::abs(n - 1));
  }
  return out;
}

absl::StatusOr<std::string> CanonicalJson(std::string_view json) {
  FLOE_ASSIGN_OR_RETURN(const Json root, ParseStrictJson(json, "the text"));
  std::string out;
  FLOE_RETURN_IF_ERROR(Append(root, out));
  return out;
}

}  // namespace floe::model
