#include "billing/verify.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace floe::billing {
namespace {

// Whether an attempt's end may have cut tokens off between worker and gateway.
bool MayLoseTokens(const RequestCounts& c) {
  return c.unfinished_attempts > 0 || c.outcome != Outcome::kCompleted;
}

// Workers against themselves and against the gateway; empty when all is explained.
std::string ExplainOutput(RequestCounts c, Explanation& out) {
  // A worker that died told nothing of what it had sent; what arrived must have been.
  if (c.unknown_attempts > 0) {
    c.sent_tokens = std::max(c.sent_tokens, c.arrived_tokens);
    c.computed_tokens = std::max(c.computed_tokens, c.sent_tokens);
  }
  if (c.sent_tokens > c.computed_tokens) {
    return absl::StrCat("workers sent ", c.sent_tokens, " tokens and computed only ",
                        c.computed_tokens);
  }
  if (c.arrived_tokens > c.sent_tokens) {
    out.incomplete = true;  // of an attempt before or after this one
    return absl::StrCat("the gateway counted ", c.arrived_tokens, " tokens, workers sent only ",
                        c.sent_tokens);
  }
  if (c.output_tokens > c.arrived_tokens) {
    return absl::StrCat("the ledger charged ", c.output_tokens,
                        " tokens, the gateway counted only ", c.arrived_tokens);
  }
  if (c.output_tokens < c.arrived_tokens && c.outcome == Outcome::kCompleted) {
    return absl::StrCat("the gateway counted ", c.arrived_tokens,
                        " tokens, the ledger charged only ", c.output_tokens);
  }
  const int64_t lost = c.computed_tokens - c.arrived_tokens;
  if (lost > 0 && !MayLoseTokens(c)) {
    return absl::StrCat("workers computed ", c.computed_tokens,
                        " tokens, the gateway counted only ", c.arrived_tokens,
                        ", and nothing was interrupted");
  }
  // A further attempt computes again what the one before it did not bring to the gateway.
  (c.attempts > 1 ? out.retried_tokens : out.undelivered_tokens) += lost;
  out.undelivered_tokens += c.arrived_tokens - c.output_tokens;
  return "";
}

std::string ExplainInput(const RequestCounts& c, Explanation& out) {
  const int64_t extra = c.prompt_tokens - c.input_tokens;
  if (extra < 0) {
    out.incomplete = true;
    return absl::StrCat("the ledger charged ", c.input_tokens, " prompt tokens, workers read only ",
                        c.prompt_tokens);
  }
  if (extra == 0) return "";
  if (c.attempts > 1) {
    out.retried_tokens += extra;
    return "";
  }
  if (c.outcome == Outcome::kFailed || c.outcome == Outcome::kBlocked) return "";
  // Who leaves before the first token pays nothing, not even for the prompt.
  if (c.outcome == Outcome::kDisconnected && c.input_tokens == 0 && c.arrived_tokens == 0) {
    out.undelivered_tokens += extra;
    return "";
  }
  return absl::StrCat("workers read ", c.prompt_tokens, " prompt tokens, the ledger charged only ",
                      c.input_tokens);
}

}  // namespace

Explanation Explain(const RequestCounts& c) {
  Explanation out;
  if (!c.parked_reason.empty()) {
    out.unexplained = absl::StrCat("not charged yet: ", c.parked_reason);
  } else if (!c.charged) {
    out.unexplained = "a worker computed it, and no gateway's journal has brought a usage event";
    out.incomplete = true;
  } else if (c.cache_hit) {
    if (c.attempts > 0 || c.arrived_tokens > 0) {
      out.unexplained = "marked as answered from the cache, and a worker computed it";
    }
    out.cached_tokens = c.output_tokens + c.input_tokens;
  } else if (c.attempts == 0 &&
             (c.input_tokens > 0 || c.output_tokens > 0 || c.arrived_tokens > 0)) {
    out.unexplained = "charged, and no worker has reported an attempt";
    out.incomplete = true;
  } else if (!c.missing_receipt.empty() && c.unknown_attempts == 0) {
    // A worker that dies may have handed out a receipt that its record does not hold yet.
    out.unexplained = absl::StrCat("the gateway holds the receipt ", c.missing_receipt,
                                   ", and no worker's record has it");
    out.incomplete = true;
  } else if (c.attempts > 0) {
    out.unexplained = ExplainOutput(c, out);
    if (out.unexplained.empty()) out.unexplained = ExplainInput(c, out);
  }
  return out;
}

void VerifyReport::Take(const RequestCounts& counts, size_t max_differences) {
  const Explanation explanation = Explain(counts);
  if (explanation.incomplete && counts.recent) {
    ++on_the_way;
    return;
  }
  ++requests;
  computed_tokens += counts.computed_tokens;
  sent_tokens += counts.sent_tokens;
  arrived_tokens += counts.arrived_tokens;
  charged_tokens += counts.output_tokens;
  undelivered_tokens += explanation.undelivered_tokens;
  retried_tokens += explanation.retried_tokens;
  cached_tokens += explanation.cached_tokens;
  if (explanation.unexplained.empty()) return;
  ++unexplained;
  if (differences.size() < max_differences) {
    differences.emplace_back(counts, explanation.unexplained);
  }
}

}  // namespace floe::billing
