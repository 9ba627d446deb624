// A request's end in money: its usage record, its charge, and what it had reserved.
#pragma once

#include <memory>
#include <optional>

#include "base/clock.h"
#include "gateway/request.h"

namespace floe::gateway {

// Borrowed.
struct SettlementParts {
  Budgets& budgets;
  UsageLog& usage;
  const Clock& clock;
};

// What is charged: the ids that arrived, and the prompts that they answer, as cached what a worker
// had of them in its prefix cache. A prompt to which nothing arrived costs nothing; vectors cost
// their inputs. From the cache: prompts and answers as cached. Pure.
UsageQuantities ChargedQuantities(const Request& request);

// By how the answer ended: a finish, an error of a stage behind generate, or a client that left.
UsageOutcome EndOf(const Request& request);

UsageRecord RecordOf(const Request& request, absl::Time now);
// What stands for a request whose end nobody saw: it failed, and nothing is charged.
UsageRecord UnendedRecordOf(const Request& request, absl::Time now);

// The search's own record, a step below the request's in its workflow; none when nothing is
// charged.
std::optional<UsageRecord> RetrievalRecordOf(const Request& request);

// Marks the request as settled, works out its cost and hands its record to the journal, once:
// further calls give null, as does a request that charges nothing.
std::unique_ptr<UsageLog::Pending> Settle(Request& request, const SettlementParts& parts,
                                          const boost::asio::any_io_executor& waiter);
// The same when nobody can wait: the client is gone.
void SettleUnwaited(Request& request, const SettlementParts& parts) noexcept;

}  // namespace floe::gateway
