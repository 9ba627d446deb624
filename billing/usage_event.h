// What happened, as gateways and workers journaled it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "billing/pricing/charge.h"

namespace floe::billing {

enum class Outcome : uint8_t { kCompleted, kDisconnected, kFailed, kBlocked };
std::string_view Name(Outcome outcome);  // completed, disconnected, failed, blocked
absl::StatusOr<Outcome> ParseOutcome(std::string_view text);

// One billable operation of one request.
struct UsageEvent {
  std::string usage_id;  // minted by the gateway: what makes it count once
  absl::Time time;       // when its budget was reserved
  std::string tenant = "default";
  std::string team;
  std::string key;
  std::string gateway;
  Usage usage;  // what is charged, in the tier that was asked for
  std::string model_version;
  std::string checkpoint_digest;
  Tier served_tier = Tier::kDefault;
  std::string price_book;  // id; empty: the one in force at `time`
  std::string policy_version;
  int64_t arrived_tokens = 0;  // output ids that reached the gateway
  bool cache_hit = false;
  Outcome outcome = Outcome::kCompleted;
  std::string workflow_id;
  std::string parent_id;
  std::string step;
  std::map<std::string, std::string> tags;
  std::string request_id;
  std::string trace_id;
  absl::Duration queue_time;
  absl::Duration time_to_first_token;
  absl::Duration total_time;
  std::vector<std::string> slices;    // `budgets/{budget}/slices/{slice}`
  bool presumed = false;              // of an end that nobody saw: it contradicts no other event
  std::vector<std::string> receipts;  // digests of workers', as they came with answers
};

// INVALID_ARGUMENT names the field: ids that are missing or too long, negative amounts, too many
// tags, a cache hit with generated tokens, a presumed event with a charge.
absl::Status Validate(const UsageEvent& event);

// 64 bits of the SHA-256 of all that happened in the event as it came: tells a repetition from a
// contradiction.
int64_t Fingerprint(const UsageEvent& event);

enum class AttemptOutcome : uint8_t { kUnknown, kFinished, kCancelled, kFailed };
std::string_view Name(AttemptOutcome outcome);  // unknown, finished, cancelled, failed

// A record's place in its worker's chain (receipt.h).
struct Receipt {
  std::string chain;  // one run of the worker; empty: there is no receipt
  int64_t sequence = 0;
  std::string previous_digest;
  std::string digest;
};

// One computation on a worker.
struct Attempt {
  std::string attempt_id;
  std::string usage_id;
  std::string worker;
  std::string checkpoint_digest;
  absl::Time time;
  int64_t prompt_tokens = 0;
  int64_t prefix_cached_tokens = 0;
  int64_t computed_tokens = 0;
  int64_t sent_tokens = 0;
  AttemptOutcome outcome = AttemptOutcome::kUnknown;
  int64_t model_tokens = 0;  // run through the model
  absl::Duration queue_time;
  absl::Duration prefill_time;   // to the first token
  absl::Duration decode_time;    // from there to the end
  absl::Duration kv_block_time;  // blocks of the KV cache times how long they were held
  Receipt receipt;
};
absl::StatusOr<AttemptOutcome> ParseAttemptOutcome(std::string_view text);
absl::Status Validate(const Attempt& attempt);

// An event with its charge, ready to be posted; or one that cannot be charged yet.
struct RatedEvent {
  UsageEvent event;         // price_book is filled in
  int64_t fingerprint = 0;  // of the event as it came
  Charge charge;
  Money credit;
  std::string parked_reason;  // not empty: neither charge nor credit
};

}  // namespace floe::billing
