// Which service owns a method, and which metadata crosses the door. Pure.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace floe::gateway {

enum class Destination {
  kGateway,
  kRegistry,
  kTokenizer,
  kTrainer,
  kAlignment,
  kBilling,
  kWorker,
  kRetrieval
};

// For people: `registry`.
std::string_view DestinationName(Destination destination);

// Says which service keeps the job that a JobService call is about: `tokenizer`, `trainer` or
// `alignment`.
inline constexpr char kServiceHintKey[] = "x-floe-service";

// By the package of `method` (`/floe.registry.v1.BlobService/GetBlob`); methods of JobService by
// `service_hint`, the value of kServiceHintKey. INVALID_ARGUMENT when the hint is missing or none
// of its values; UNIMPLEMENTED for packages that no service owns.
absl::StatusOr<Destination> RouteOf(std::string_view method, std::string_view service_hint);

// Whether metadata that a client sent is handed on as it is. Not: what the transport itself writes,
// the API key, what only the door may say (x-floe-*), and ids that it renews.
bool PassesInwards(std::string_view key);

// The same for what a service answers, before or after its messages.
bool PassesOutwards(std::string_view key);

}  // namespace floe::gateway
