// The three counts: what workers computed and sent, what gateways counted, what the ledger charged.
// Every difference is explained or listed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"

#include "billing/job_usage.h"
#include "billing/report.h"
#include "billing/usage_event.h"

namespace floe::billing {

struct VerifyQuery {
  std::string team;  // empty: all
  Interval interval;
  // Usage and attempts come by two ways, neither of which waits for the other. A request of which
  // something came so short a time ago is not held against anybody for what is still missing.
  absl::Duration margin;
  size_t max_differences = 100;
};

// All that is known about one request.
struct RequestCounts {
  std::string usage_id;
  bool recent = false;        // something of it came within the query's margin
  bool charged = true;        // there is a usage event, and it was charged
  std::string parked_reason;  // there is one, and it was not
  bool cache_hit = false;
  Outcome outcome = Outcome::kCompleted;
  int64_t input_tokens = 0;   // charged, cached ones included
  int64_t output_tokens = 0;  // charged, those from the cache included
  int64_t arrived_tokens = 0;
  int64_t attempts = 0;
  int64_t unfinished_attempts = 0;  // cancelled, failed or unknown
  int64_t unknown_attempts = 0;     // of workers that died: their counts are missing
  int64_t prompt_tokens = 0;        // of all attempts
  int64_t computed_tokens = 0;
  int64_t sent_tokens = 0;
  std::string missing_receipt;  // one that the gateway was handed, and no attempt of it has
};

// How the counts of one request come together.
struct Explanation {
  int64_t undelivered_tokens = 0;  // output computed or sent, and not charged
  int64_t retried_tokens = 0;      // read or computed again by a further attempt
  int64_t cached_tokens = 0;       // charged and computed by nobody
  std::string unexplained;         // what does not fit; empty: all does
  bool incomplete = false;         // a report that is still to come may explain it
};
Explanation Explain(const RequestCounts& counts);

struct VerifyReport {
  int64_t requests = 0;
  int64_t on_the_way = 0;  // requests besides, of which a part has not come yet; in no sum below
  int64_t computed_tokens = 0;
  int64_t sent_tokens = 0;
  int64_t arrived_tokens = 0;
  int64_t charged_tokens = 0;
  int64_t undelivered_tokens = 0;
  int64_t retried_tokens = 0;
  int64_t cached_tokens = 0;
  int64_t unexplained = 0;
  std::vector<std::pair<RequestCounts, std::string>> differences;  // the first `max_differences`
  // What jobs used from ever, as the queues' newest word says, and as it came here.
  JobQuantities jobs_counted;
  JobQuantities jobs_billed;
  std::vector<std::string> ledger_faults;
  int64_t receipts = 0;
  std::vector<std::string> receipt_faults;  // the first of each kind

  bool clean() const { return unexplained == 0 && ledger_faults.empty() && receipt_faults.empty(); }
  // Takes one request into the sums.
  void Take(const RequestCounts& counts, size_t max_differences);
};

}  // namespace floe::billing
