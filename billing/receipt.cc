#include "billing/receipt.h"

#include "absl/strings/str_cat.h"

#include "base/sha256.h"
#include "base/view.h"

namespace floe::billing {

// billing/postgres/verify_receipts.cc builds the same text in SQL.
std::string ReceiptDigest(const Attempt& a) {
  std::string text = "floe receipt 1";
  const auto add = [&text](const auto& value) { absl::StrAppend(&text, "\n", value); };
  const auto add_time = [&add](absl::Duration time) { add(absl::ToInt64Microseconds(time)); };
  add(a.worker);
  add(a.receipt.chain);
  add(a.receipt.sequence);
  add(a.receipt.previous_digest);
  add(a.attempt_id);
  add(a.usage_id);
  add(a.checkpoint_digest);
  add(absl::ToUnixMicros(a.time));
  add(a.prompt_tokens);
  add(a.prefix_cached_tokens);
  add(a.computed_tokens);
  add(a.sent_tokens);
  add(a.model_tokens);
  add_time(a.queue_time);
  add_time(a.prefill_time);
  add_time(a.decode_time);
  add_time(a.kv_block_time);
  add(AbslView(Name(a.outcome)));
  return Sha256::Hex(text);
}

void ReceiptChain::Sign(Attempt& attempt) {
  attempt.receipt = {name_, ++sequence_, last_digest_, ""};
  attempt.receipt.digest = ReceiptDigest(attempt);
  last_digest_ = attempt.receipt.digest;
}

}  // namespace floe::billing
