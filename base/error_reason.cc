#include "base/error_reason.h"

#include <cstdint>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "base/view.h"

namespace floe {
namespace {

constexpr char kPayload[] = "floe/error-reason";

// Netstrings (`5:hello,`) one after another: reason, domain, then keys and values.
void Append(std::string_view text, std::string& out) {
  absl::StrAppend(&out, text.size(), ":", AbslView(text), ",");
}

bool Take(std::string_view& in, std::string& text) {
  const size_t colon = in.find(':');
  uint64_t size = 0;
  if (colon == std::string_view::npos || !absl::SimpleAtoi(AbslView(in.substr(0, colon)), &size) ||
      in.size() - colon - 1 <= size) {
    return false;
  }
  text.assign(in.substr(colon + 1, size));
  in.remove_prefix(colon + 1 + size + 1);
  return true;
}

}  // namespace

absl::Status WithReason(absl::Status status, ErrorReason reason) {
  std::string payload;
  Append(reason.reason, payload);
  Append(reason.domain, payload);
  for (const auto& [key, value] : reason.metadata) {
    Append(key, payload);
    Append(value, payload);
  }
  status.SetPayload(kPayload, absl::Cord(payload));
  return status;
}

absl::Status WithReason(absl::Status status, std::string_view reason,
                        std::map<std::string, std::string> metadata) {
  return WithReason(std::move(status),
                    ErrorReason{std::string(reason), std::string(), std::move(metadata)});
}

std::optional<ErrorReason> ReasonOf(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kPayload);
  if (!payload) return std::nullopt;
  const std::string bytes(*payload);
  std::string_view in = bytes;
  ErrorReason reason;
  if (!Take(in, reason.reason) || !Take(in, reason.domain)) return std::nullopt;
  std::string key;
  std::string value;
  while (Take(in, key) && Take(in, value)) reason.metadata[key] = value;
  return reason;
}

}  // namespace floe
