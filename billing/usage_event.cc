#include "billing/usage_event.h"

#include <array>
#include <span>

#include "absl/strings/str_cat.h"

#include "base/sha256.h"
#include "base/status_macros.h"
#include "base/view.h"

namespace floe::billing {
namespace {

constexpr size_t kMaxId = 256;
constexpr size_t kMaxTags = 16;
constexpr size_t kMaxReceipts = 200;
constexpr std::array<std::string_view, 4> kOutcomes = {"completed", "disconnected", "failed",
                                                       "blocked"};
constexpr std::array<std::string_view, 4> kAttemptOutcomes = {"unknown", "finished", "cancelled",
                                                              "failed"};

template <typename T>
absl::StatusOr<T> Parse(std::string_view text, std::span<const std::string_view> names) {
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == text) return static_cast<T>(i);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", AbslView(text.substr(0, 50)), "\" is no outcome"));
}

absl::Status CheckText(std::string_view field, std::string_view text, bool required) {
  if (required && text.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(AbslView(field), " is missing"));
  }
  if (text.size() > kMaxId || text.find('\0') != std::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat(AbslView(field), " must be at most ", kMaxId, " bytes without zeros"));
  }
  return absl::OkStatus();
}

absl::Status CheckCount(std::string_view field, int64_t count) {
  if (count >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(AbslView(field), " is negative: ", count));
}

// Parts of account and subject names, which are joined by slashes.
absl::Status CheckPart(std::string_view field, std::string_view text, bool required) {
  FLOE_RETURN_IF_ERROR(CheckText(field, text, required));
  if (text.find('/') == std::string_view::npos) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(AbslView(field), " must not contain a slash"));
}

absl::Status CheckTexts(const UsageEvent& event) {
  FLOE_RETURN_IF_ERROR(CheckText("usage_id", event.usage_id, true));
  FLOE_RETURN_IF_ERROR(CheckPart("team", event.team, true));
  FLOE_RETURN_IF_ERROR(CheckPart("tenant", event.tenant, true));
  FLOE_RETURN_IF_ERROR(CheckPart("key", event.key, false));
  const std::array<std::pair<std::string_view, const std::string*>, 10> optional = {{
      {"gateway", &event.gateway},
      {"model", &event.usage.model},
      {"model_version", &event.model_version},
      {"checkpoint_digest", &event.checkpoint_digest},
      {"policy_version", &event.policy_version},
      {"workflow_id", &event.workflow_id},
      {"parent_id", &event.parent_id},
      {"step", &event.step},
      {"request_id", &event.request_id},
      {"trace_id", &event.trace_id},
  }};
  for (const auto& [field, text] : optional) {
    FLOE_RETURN_IF_ERROR(CheckText(field, *text, false));
  }
  if (event.tags.size() > kMaxTags) {
    return absl::InvalidArgumentError(
        absl::StrCat("tags has ", event.tags.size(), " entries; at most ", kMaxTags));
  }
  for (const auto& [key, value] : event.tags) {
    FLOE_RETURN_IF_ERROR(CheckText("a tag's key", key, true));
    FLOE_RETURN_IF_ERROR(CheckText("a tag", value, false));
  }
  return absl::OkStatus();
}

}  // namespace

std::string_view Name(Outcome outcome) { return kOutcomes[static_cast<size_t>(outcome)]; }
std::string_view Name(AttemptOutcome outcome) {
  return kAttemptOutcomes[static_cast<size_t>(outcome)];
}
absl::StatusOr<Outcome> ParseOutcome(std::string_view text) {
  return Parse<Outcome>(text, kOutcomes);
}
absl::StatusOr<AttemptOutcome> ParseAttemptOutcome(std::string_view text) {
  return Parse<AttemptOutcome>(text, kAttemptOutcomes);
}

absl::Status Validate(const UsageEvent& event) {
  FLOE_RETURN_IF_ERROR(CheckTexts(event));
  const Quantities& q = event.usage.quantities;
  FLOE_RETURN_IF_ERROR(CheckCount("input_tokens", q.input_tokens));
  FLOE_RETURN_IF_ERROR(CheckCount("cached_input_tokens", q.cached_input_tokens));
  FLOE_RETURN_IF_ERROR(CheckCount("output_tokens", q.output_tokens));
  FLOE_RETURN_IF_ERROR(CheckCount("cached_output_tokens", q.cached_output_tokens));
  FLOE_RETURN_IF_ERROR(CheckCount("calls", q.calls));
  FLOE_RETURN_IF_ERROR(CheckCount("arrived_tokens", event.arrived_tokens));
  if (event.time <= absl::UnixEpoch() || event.time >= absl::FromUnixSeconds(253402300800)) {
    return absl::InvalidArgumentError("time is missing or out of range");
  }
  if (event.cache_hit && (q.output_tokens != 0 || q.input_tokens != 0)) {
    return absl::InvalidArgumentError(
        "a cache hit has cached_input_tokens and cached_output_tokens only");
  }
  if (!event.cache_hit && q.cached_output_tokens != 0) {
    return absl::InvalidArgumentError("cached_output_tokens are for cache hits");
  }
  if (event.presumed && !(q == Quantities())) {
    return absl::InvalidArgumentError("a presumed event has no quantities");
  }
  for (const std::string& slice : event.slices) {
    FLOE_RETURN_IF_ERROR(CheckText("a slice", slice, true));
  }
  if (event.receipts.size() > kMaxReceipts) {
    return absl::InvalidArgumentError(
        absl::StrCat("receipts has ", event.receipts.size(), " entries; at most ", kMaxReceipts));
  }
  for (const std::string& receipt : event.receipts) {
    FLOE_RETURN_IF_ERROR(CheckText("a receipt", receipt, true));
  }
  return absl::OkStatus();
}

int64_t Fingerprint(const UsageEvent& e) {
  const Quantities& q = e.usage.quantities;
  // A byte that no valid text holds keeps neighbours apart.
  std::string all;
  const auto add = [&all](std::string_view text) { all.append(text).push_back('\0'); };
  for (const std::string* text :
       {&e.usage_id, &e.tenant, &e.team, &e.key, &e.gateway, &e.usage.model, &e.model_version,
        &e.checkpoint_digest, &e.price_book, &e.policy_version, &e.workflow_id, &e.parent_id,
        &e.step, &e.request_id, &e.trace_id}) {
    add(*text);
  }
  absl::StrAppend(&all, absl::ToUnixMicros(e.time), " ", static_cast<int>(e.usage.operation), " ",
                  static_cast<int>(e.usage.tier), " ", static_cast<int>(e.served_tier), " ");
  absl::StrAppend(&all, q.input_tokens, " ", q.cached_input_tokens, " ", q.output_tokens, " ");
  absl::StrAppend(&all, q.cached_output_tokens, " ", q.calls, " ", e.arrived_tokens, " ");
  absl::StrAppend(&all, e.cache_hit ? 1 : 0, " ", static_cast<int>(e.outcome), " ");
  absl::StrAppend(&all, absl::ToInt64Microseconds(e.queue_time), " ",
                  absl::ToInt64Microseconds(e.time_to_first_token), " ",
                  absl::ToInt64Microseconds(e.total_time), " ");
  for (const auto& [key, value] : e.tags) {
    add(key);
    add(value);
  }
  for (const std::string& slice : e.slices) add(slice);
  // Events from before there were receipts keep their fingerprint.
  for (const std::string& receipt : e.receipts) add(receipt);
  const std::string hex = Sha256::Hex(all);
  uint64_t bits = 0;
  for (const char digit : std::string_view(hex).substr(0, 16)) {
    bits = bits << 4 | static_cast<uint64_t>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
  }
  return static_cast<int64_t>(bits);
}

absl::Status Validate(const Attempt& attempt) {
  FLOE_RETURN_IF_ERROR(CheckText("attempt_id", attempt.attempt_id, true));
  FLOE_RETURN_IF_ERROR(CheckText("usage_id", attempt.usage_id, true));
  FLOE_RETURN_IF_ERROR(CheckText("worker", attempt.worker, false));
  FLOE_RETURN_IF_ERROR(CheckText("checkpoint_digest", attempt.checkpoint_digest, false));
  FLOE_RETURN_IF_ERROR(CheckText("receipt.chain", attempt.receipt.chain, false));
  FLOE_RETURN_IF_ERROR(
      CheckText("receipt.previous_digest", attempt.receipt.previous_digest, false));
  FLOE_RETURN_IF_ERROR(CheckText("receipt.digest", attempt.receipt.digest, false));
  FLOE_RETURN_IF_ERROR(CheckCount("prompt_tokens", attempt.prompt_tokens));
  FLOE_RETURN_IF_ERROR(CheckCount("prefix_cached_tokens", attempt.prefix_cached_tokens));
  FLOE_RETURN_IF_ERROR(CheckCount("computed_tokens", attempt.computed_tokens));
  return CheckCount("sent_tokens", attempt.sent_tokens);
}

}  // namespace floe::billing
