#include "billing/ingest.h"

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"

namespace floe::billing {
namespace {

constexpr int kParkedPage = 1000;

// Why an event waits; anything else (the database is away) fails the whole call instead.
bool IsParkable(const absl::Status& status) {
  return status.code() == absl::StatusCode::kNotFound ||
         status.code() == absl::StatusCode::kFailedPrecondition ||
         status.code() == absl::StatusCode::kOutOfRange;
}

}  // namespace

absl::StatusOr<RatedEvent> Rate(const UsageEvent& event, const PriceBooks::Resolved& book) {
  RatedEvent rated{.event = event, .fingerprint = Fingerprint(event)};
  rated.event.price_book = book.id;
  FLOE_ASSIGN_OR_RETURN(rated.charge, PriceUsage(*book.book, event.usage));
  FLOE_ASSIGN_OR_RETURN(rated.credit,
                        TierCredit(*book.book, event.usage, event.served_tier, rated.charge));
  return rated;
}

absl::StatusOr<RatedEvent> IngestUsage::RateOrPark(UsageEvent event) {
  const auto book = books_.Resolve(event.price_book, event.time);
  absl::StatusOr<RatedEvent> rated = book.ok() ? Rate(event, *book) : book.status();
  if (rated.ok() || !IsParkable(rated.status())) return rated;
  const int64_t fingerprint = Fingerprint(event);
  return RatedEvent{.event = std::move(event),
                    .fingerprint = fingerprint,
                    .parked_reason = std::string(rated.status().message())};
}

absl::StatusOr<std::vector<IngestUsage::Outcome>> IngestUsage::Run(std::vector<UsageEvent> events) {
  std::vector<RatedEvent> rated;
  rated.reserve(events.size());
  for (UsageEvent& event : events) {
    const absl::Status valid = Validate(event);
    if (!valid.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("events[", rated.size(), "] (usage_id \"",
                                                     event.usage_id.substr(0, 64),
                                                     "\"): ", valid.message()));
    }
    FLOE_ASSIGN_OR_RETURN(RatedEvent one, RateOrPark(std::move(event)));
    rated.push_back(std::move(one));
  }
  FLOE_ASSIGN_OR_RETURN(std::vector<IngestResult> results, store_.Append(rated));
  std::vector<Outcome> outcomes;
  outcomes.reserve(results.size());
  for (size_t i = 0; i < results.size(); ++i) {
    outcomes.push_back({std::move(results[i]), rated[i].charge.total, rated[i].credit});
  }
  return outcomes;
}

absl::StatusOr<int64_t> IngestUsage::ChargeParked() {
  int64_t charged = 0;
  for (std::string after;;) {
    FLOE_ASSIGN_OR_RETURN(std::vector<RatedEvent> parked, store_.Parked(after, kParkedPage));
    if (parked.empty()) return charged;
    after = parked.back().event.usage_id;
    std::vector<RatedEvent> ready;
    for (RatedEvent& waiting : parked) {
      FLOE_ASSIGN_OR_RETURN(RatedEvent rated, RateOrPark(std::move(waiting.event)));
      if (!rated.parked_reason.empty()) continue;
      rated.fingerprint = waiting.fingerprint;
      ready.push_back(std::move(rated));
    }
    if (!ready.empty()) FLOE_RETURN_IF_ERROR(store_.Append(ready).status());
    charged += static_cast<int64_t>(ready.size());
  }
}

}  // namespace floe::billing
