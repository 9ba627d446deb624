// Amounts and times of bills, as people and programs read them.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>
#include <nlohmann/json.hpp>

#include "floe/billing/v1/money.pb.h"
#include "floe/billing/v1/report.pb.h"

namespace floe::cli {

// "$0.00018", every digit there is; "?" for what is no amount.
std::string Dollars(const billing::v1::Money& money);
// From "0.15" or "$0.15".
absl::StatusOr<billing::v1::Money> ParseDollars(const std::string& text);

// Attempts, tokens, work and core time: cells of a table.
std::vector<std::string> UsedCells(const billing::v1::JobQuantities& used);

google::protobuf::Timestamp TimestampOf(absl::Time time);
google::protobuf::Duration DurationOf(absl::Duration duration);
absl::Duration DurationOf(const google::protobuf::Duration& duration);

// Options of commands that look at a stretch of time.
struct IntervalFlags {
  std::string month, from, to;
};
// --month, or --from and --to; nothing set means the service's default: this month so far.
absl::StatusOr<billing::v1::Interval> IntervalOf(const IntervalFlags& flags);

// The contract's field names, numbers as numbers, times in RFC 3339, durations in seconds, amounts
// as
// {"picodollars": "150000", "dollars": "0.00000015"}; empty fields too.
nlohmann::ordered_json MessageJson(const google::protobuf::Message& message);

}  // namespace floe::cli
