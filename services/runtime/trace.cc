#include "services/runtime/trace.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/random.h"

namespace floe::runtime {
namespace {

bool IsLowerHex(std::string_view text) {
  for (const char c : text) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  }
  return true;
}

bool IsId(std::string_view text) {
  return IsLowerHex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

// 8 random bytes as hexadecimal, never all zero.
std::string RandomHex16() {
  uint64_t value = 0;
  while (value == 0) value = RandomBits();
  return absl::StrFormat("%016x", value);
}

}  // namespace

std::string TraceParent::ToHeader() const {
  return absl::StrCat("00-", trace_id, "-", span_id, sampled ? "-01" : "-00");
}

std::optional<TraceParent> ParseTraceParent(std::string_view header) {
  // version "-" trace-id "-" parent-id "-" trace-flags; later versions may append more.
  constexpr size_t kLength = 55;
  if (header.size() < kLength || header[2] != '-' || header[35] != '-' || header[52] != '-') {
    return std::nullopt;
  }
  const std::string_view version = header.substr(0, 2);
  if (!IsLowerHex(version) || version == "ff") return std::nullopt;
  if (header.size() > kLength && (version == "00" || header[kLength] != '-')) return std::nullopt;
  const std::string_view trace_id = header.substr(3, 32);
  const std::string_view span_id = header.substr(36, 16);
  const std::string_view flags = header.substr(53, 2);
  if (!IsId(trace_id) || !IsId(span_id) || !IsLowerHex(flags)) return std::nullopt;
  const char low = flags[1];
  const int nibble = low <= '9' ? low - '0' : low - 'a' + 10;
  return TraceParent{std::string(trace_id), std::string(span_id), (nibble & 1) != 0};
}

TraceParent NewTrace() { return {RandomHex16() + RandomHex16(), RandomHex16(), true}; }

TraceParent NewSpan(const TraceParent& parent) {
  return {parent.trace_id, RandomHex16(), parent.sampled};
}

}  // namespace floe::runtime
