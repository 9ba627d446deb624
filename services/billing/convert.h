// Between floe.billing.v1 and the domain: amounts, times, usage.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "google/protobuf/message.h"

#include "billing/ingest.h"
#include "billing/job_usage.h"
#include "billing/request_key.h"
#include "billing/usage_event.h"
#include "floe/billing/v1/money.pb.h"
#include "floe/billing/v1/usage.pb.h"
#include "services/runtime/call.h"
#include "services/runtime/proto_time.h"

namespace floe::services::billing {

namespace v1 = floe::billing::v1;
namespace domain = floe::billing;

v1::Money ToProto(domain::Money money);
// INVALID_ARGUMENT names `field`; another currency than USD is one.
absl::StatusOr<domain::Money> FromProto(const v1::Money& money, std::string_view field);

using runtime::FromProto;
using runtime::ToProto;

// The key of a change that may be repeated. `request` has no maps: equal ones have equal bytes.
absl::StatusOr<domain::RequestKey> KeyOf(const runtime::CallIdentity& identity,
                                         const google::protobuf::Message& request,
                                         const std::string& request_id);

v1::Quantities ToProto(const domain::Quantities& quantities);
v1::ChargeLine ToProto(const domain::ChargeLine& line);

absl::StatusOr<domain::UsageEvent> FromProto(const v1::UsageEvent& event);
v1::UsageEvent ToProto(const domain::UsageEvent& event);
v1::IngestUsageResponse::Result ToProto(const std::string& usage_id,
                                        const domain::IngestUsage::Outcome& outcome);

domain::JobUsage FromProto(const v1::JobUsage& usage, const std::string& queue);
domain::JobCount FromProto(const v1::JobCount& count, const std::string& queue);

// `priceBooks/{id}` and back; an empty name is an empty id.
absl::StatusOr<std::string> PriceBookId(std::string_view name);
std::string PriceBookName(std::string_view id);

}  // namespace floe::services::billing
