#include "services/gateway/door/route.h"

#include <array>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/view.h"
#include "services/runtime/call.h"

namespace floe::gateway {
namespace {

struct Package {
  std::string_view prefix;
  Destination destination;
};
constexpr auto kPackages = std::to_array<Package>({
    {"/floe.gateway.", Destination::kGateway},
    {"/floe.registry.", Destination::kRegistry},
    {"/floe.tokenizer.", Destination::kTokenizer},
    {"/floe.inference.", Destination::kWorker},
    {"/floe.retrieval.", Destination::kRetrieval},
    {"/floe.billing.", Destination::kBilling},
});
constexpr std::string_view kJobs = "/floe.jobs.";

absl::StatusOr<Destination> KeeperOf(std::string_view hint) {
  if (hint == "tokenizer") return Destination::kTokenizer;
  if (hint == "trainer") return Destination::kTrainer;
  if (hint == "alignment") return Destination::kAlignment;
  return WithReason(absl::InvalidArgumentError(
                        absl::StrCat("calls of JobService say in the metadata `", kServiceHintKey,
                                     "` which service keeps the job, tokenizer, trainer or "
                                     "alignment (ids of jobs begin with it); got `",
                                     AbslView(hint.substr(0, 40)), "`")),
                    "SERVICE_HINT_INVALID");
}

// HTTP/2's own, gRPC's own, and what describes one connection.
bool IsOfTransport(std::string_view key) {
  return absl::StartsWith(AbslView(key), ":") || absl::StartsWith(AbslView(key), "grpc-") ||
         key == "user-agent" || key == "host" || key == "te" || key == "content-type" ||
         key == "content-length" || key == "accept-encoding" || key == "content-encoding" ||
         key == "connection";
}

bool IsOfTheDoor(std::string_view key) { return absl::StartsWith(AbslView(key), "x-floe-"); }

}  // namespace

std::string_view DestinationName(Destination destination) {
  switch (destination) {
    case Destination::kGateway:
      return "gateway";
    case Destination::kRegistry:
      return "registry";
    case Destination::kTokenizer:
      return "tokenizer";
    case Destination::kTrainer:
      return "trainer";
    case Destination::kAlignment:
      return "alignment";
    case Destination::kBilling:
      return "billing";
    case Destination::kWorker:
      return "inference";
    case Destination::kRetrieval:
      return "retrieval";
  }
  return "unknown";
}

absl::StatusOr<Destination> RouteOf(std::string_view method, std::string_view service_hint) {
  for (const Package& package : kPackages) {
    if (absl::StartsWith(AbslView(method), AbslView(package.prefix))) return package.destination;
  }
  if (absl::StartsWith(AbslView(method), AbslView(kJobs))) return KeeperOf(service_hint);
  return absl::UnimplementedError(
      absl::StrCat("no service of this fleet owns ", AbslView(method.substr(0, 200))));
}

bool PassesInwards(std::string_view key) {
  return !IsOfTransport(key) && !IsOfTheDoor(key) && key != "authorization" &&
         key != runtime::kRequestIdKey && key != runtime::kTraceParentKey;
}

bool PassesOutwards(std::string_view key) {
  return !IsOfTransport(key) && !IsOfTheDoor(key) && key != runtime::kRequestIdKey;
}

}  // namespace floe::gateway
