// Workers' receipts against one another: part of PostgresReportStore::Verify.
#pragma once

#include <string>

#include "billing/verify.h"

namespace pqxx {
class transaction_base;
}  // namespace pqxx

namespace floe::billing {

// Of the attempts that began from `start` on, before `end` (as SQL reads times): each is what its
// receipt says, and stands in its chain behind the one that it names. What is not so is named in
// the report.
void CheckReceipts(pqxx::transaction_base& sql, const std::string& start, const std::string& end,
                   absl::Duration margin, VerifyReport& report);

}  // namespace floe::billing
