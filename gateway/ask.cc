#include "gateway/ask.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

#include "base/error_reason.h"

namespace floe::gateway {

std::string_view TierName(ServiceTier tier) {
  switch (tier) {
    case ServiceTier::kFlex:
      return "flex";
    case ServiceTier::kPriority:
      return "priority";
    case ServiceTier::kDefault:
      break;
  }
  return "default";
}

std::string PromptName(const Ask& ask, size_t index) {
  if (ask.embedding) return absl::StrCat("input[", index, "]");
  if (ask.is_chat()) return "messages";
  return ask.prompts.size() == 1 ? "prompt" : absl::StrCat("prompt[", index, "]");
}

absl::Status AboutPrompt(absl::Status status, const Ask& ask, size_t index) {
  std::optional<ErrorReason> reason = ReasonOf(status);
  const bool alone = ask.prompts.size() == 1 && !ask.embedding;
  if (alone || !reason || !reason->metadata.contains("param")) return status;
  const std::string name = PromptName(ask, index);
  reason->metadata["param"] = name;
  return WithReason(absl::Status(status.code(), absl::StrCat(name, ": ", status.message())),
                    *std::move(reason));
}

bool IsDollarAmount(std::string_view text) {
  const size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view part = point == std::string_view::npos ? "" : text.substr(point + 1);
  const auto digits = [](std::string_view digits_only) {
    return std::all_of(digits_only.begin(), digits_only.end(),
                       [](unsigned char c) { return absl::ascii_isdigit(c); });
  };
  return !whole.empty() && whole.size() <= 12 && part.size() <= 12 && digits(whole) &&
         digits(part) && (point == std::string_view::npos || !part.empty());
}

}  // namespace floe::gateway
