// What billing needs from outside: a database. Implemented in postgres/. All thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "billing/budget.h"
#include "billing/focus.h"
#include "billing/invoice.h"
#include "billing/ledger.h"
#include "billing/report.h"
#include "billing/request_key.h"
#include "billing/training_cost.h"
#include "billing/usage_event.h"
#include "billing/verify.h"
#include "billing/workflow_tree.h"

namespace floe::billing {

enum class IngestState : uint8_t { kAccepted, kDuplicate, kConflict, kParked };

struct IngestResult {
  IngestState state = IngestState::kAccepted;
  std::string reason;  // kConflict, kParked
};

// Events and attempts.
class UsageStore {
 public:
  virtual ~UsageStore() = default;
  // In one transaction: stores the events that are new, posts their charges and credits, moves the
  // charges from held to spent in budgets and slices, and says of each event what became of it.
  virtual absl::StatusOr<std::vector<IngestResult>> Append(
      const std::vector<RatedEvent>& events) = 0;
  // Parked events, the oldest first, from behind `after` (a usage id; empty: from the first).
  virtual absl::StatusOr<std::vector<RatedEvent>> Parked(std::string_view after, int limit) = 0;
  // How many attempts were new.
  virtual absl::StatusOr<int64_t> AppendAttempts(const std::vector<Attempt>& attempts) = 0;
};

// A published book.
struct BookRecord {
  std::string id;
  absl::Time effective_time;
  std::string yaml;
  std::string digest;  // SHA-256 of yaml
  std::string currency;
  absl::Time create_time;
  std::string creator;
};

class PriceBookStore {
 public:
  virtual ~PriceBookStore() = default;
  // ALREADY_EXISTS when the id is taken by another request; the first answer for the same one.
  // Books are the operator's alone, and so are their request ids.
  virtual absl::StatusOr<BookRecord> Insert(const BookRecord& book,
                                            const std::string& request_id) = 0;
  virtual absl::StatusOr<BookRecord> Get(std::string_view id) = 0;  // NOT_FOUND
  // FAILED_PRECONDITION, NO_PRICE_BOOK, when none was in force.
  virtual absl::StatusOr<BookRecord> Effective(absl::Time time) = 0;
  // Newest effective time first.
  virtual absl::StatusOr<std::vector<BookRecord>> List(int limit, int64_t offset) = 0;
};

struct BudgetView {
  Budget budget;
  BudgetState state;
};

// A change of a budget; what is not set stays.
struct BudgetChange {
  std::optional<Money> limit;
  std::optional<std::string> display_name;
  std::string etag;  // not empty: ABORTED unless it is the present one
};

class BudgetStore {
 public:
  virtual ~BudgetStore() = default;
  // `team` scopes every call: empty sees all, others the budgets of their team, its keys and its
  // workflows. Another team's budget is NOT_FOUND.
  // The first answer for the same request.
  virtual absl::StatusOr<BudgetView> Create(const Budget& budget, const RequestKey& request) = 0;
  virtual absl::StatusOr<BudgetView> Get(std::string_view team, std::string_view id) = 0;
  virtual absl::StatusOr<std::vector<BudgetView>> List(std::string_view team, int limit,
                                                       int64_t offset) = 0;
  virtual absl::StatusOr<std::vector<BudgetView>> Applicable(
      const std::vector<std::string>& subject_keys) = 0;
  virtual absl::StatusOr<BudgetView> Update(std::string_view team, std::string_view id,
                                            const BudgetChange& change) = 0;
  virtual absl::Status Delete(std::string_view team, std::string_view id) = 0;
};

// Leases of budget slices; gateways only.
class SliceStore {
 public:
  virtual ~SliceStore() = default;
  struct AcquireRequest {
    std::string budget;
    std::string gateway;
    Money amount;
    Money minimum;
    absl::Duration lease;
    std::string request_id;
  };
  virtual absl::StatusOr<Slice> Acquire(const AcquireRequest& request) = 0;
  // FAILED_PRECONDITION, SLICE_CLOSED, when it was returned or written off.
  virtual absl::StatusOr<Slice> Renew(std::string_view id, absl::Duration lease,
                                      Money additional) = 0;
  virtual absl::StatusOr<Slice> Return(std::string_view id, Money spent) = 0;
  virtual absl::StatusOr<Slice> WriteOff(std::string_view id, std::string_view reason) = 0;
  virtual absl::StatusOr<std::vector<Slice>> List(std::string_view budget, bool held_only,
                                                  int limit, int64_t offset) = 0;
};

// A charge with everything around it.
struct ExplainedUsage {
  RatedEvent rated;
  absl::Time receive_time;
  std::vector<LedgerEntry> entries;
  std::vector<Attempt> attempts;
};

class ReportStore {
 public:
  virtual ~ReportStore() = default;
  // An empty team sees all.
  virtual absl::StatusOr<Report> Query(const ReportQuery& query) = 0;
  virtual absl::StatusOr<ExplainedUsage> Explain(std::string_view team,
                                                 std::string_view usage_id) = 0;
  // RESOURCE_EXHAUSTED (WORKFLOW_TOO_LARGE) beyond 10,000 steps.
  virtual absl::StatusOr<std::vector<WorkflowStep>> WorkflowSteps(std::string_view team,
                                                                  std::string_view workflow) = 0;
  virtual absl::StatusOr<VerifyReport> Verify(const VerifyQuery& query) = 0;
};

class InvoiceStore {
 public:
  virtual ~InvoiceStore() = default;
  // The issued invoice, else a draft of the month as it is now.
  virtual absl::StatusOr<Invoice> Get(std::string_view team, absl::CivilMonth month) = 0;
  // Issues the month and posts the rounding. FAILED_PRECONDITION while an earlier month has usage
  // that no invoice bears, or when a later one is issued.
  virtual absl::StatusOr<Invoice> Issue(std::string_view team, absl::CivilMonth month,
                                        absl::Time now) = 0;
  // Calls `take` with each CSV line of the month, header first; a team's only, or all.
  virtual absl::Status ExportFocus(std::string_view team, absl::CivilMonth month,
                                   const std::function<void(std::string_view line)>& take) = 0;
};

class TrainingCostStore {
 public:
  virtual ~TrainingCostStore() = default;
  // Posts it to the ledger. The first answer for the same request.
  virtual absl::StatusOr<TrainingCost> Insert(const TrainingCost& cost,
                                              const RequestKey& request) = 0;
  virtual absl::StatusOr<std::vector<TrainingCost>> List(std::string_view team,
                                                         absl::Time until) = 0;
  virtual absl::StatusOr<std::vector<VersionUse>> Uses(std::string_view team, absl::Time until) = 0;
};

}  // namespace floe::billing
