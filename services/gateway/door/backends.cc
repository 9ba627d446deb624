#include "services/gateway/door/backends.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/status_macros.h"
#include "base/view.h"
#include "services/runtime/client.h"

namespace floe::gateway {
namespace {

const char* OptionOf(Destination destination) {
  switch (destination) {
    case Destination::kRegistry:
      return "--registry";
    case Destination::kTokenizer:
      return "--tokenizer";
    case Destination::kTrainer:
      return "--trainer";
    case Destination::kAlignment:
      return "--alignment";
    case Destination::kBilling:
      return "--billing";
    case Destination::kWorker:
      return "--workers";
    case Destination::kRetrieval:
      return "--retrieval";
    case Destination::kGateway:
      break;
  }
  return "none";
}

}  // namespace

absl::StatusOr<std::unique_ptr<Backends>> Backends::Create(const DoorBackends& addresses,
                                                           const runtime::CommonOptions& options,
                                                           std::shared_ptr<grpc::Channel> own) {
  auto backends = std::unique_ptr<Backends>(new Backends());
  const auto add = [&](Destination destination, const std::string& address) -> absl::Status {
    if (address.empty()) return absl::OkStatus();
    FLOE_ASSIGN_OR_RETURN(auto channel,
                          runtime::MakeChannel(address, options.tls, options.insecure));
    backends->Of(destination)
        .push_back(std::make_unique<Backend>(
            absl::StrCat(AbslView(DestinationName(destination)), " at ", address),
            std::move(channel)));
    return absl::OkStatus();
  };
  FLOE_RETURN_IF_ERROR(add(Destination::kRegistry, addresses.registry));
  FLOE_RETURN_IF_ERROR(add(Destination::kTokenizer, addresses.tokenizer));
  FLOE_RETURN_IF_ERROR(add(Destination::kTrainer, addresses.trainer));
  FLOE_RETURN_IF_ERROR(add(Destination::kAlignment, addresses.alignment));
  FLOE_RETURN_IF_ERROR(add(Destination::kRetrieval, addresses.retrieval));
  FLOE_RETURN_IF_ERROR(add(Destination::kBilling, addresses.billing));
  for (const std::string& worker : addresses.workers) {
    FLOE_RETURN_IF_ERROR(add(Destination::kWorker, worker));
  }
  if (own != nullptr) {
    backends->gateway_.push_back(std::make_unique<Backend>("the gateway itself", std::move(own)));
  }
  return backends;
}

std::vector<std::unique_ptr<Backend>>& Backends::Of(Destination destination) {
  switch (destination) {
    case Destination::kRegistry:
      return registry_;
    case Destination::kTokenizer:
      return tokenizer_;
    case Destination::kTrainer:
      return trainer_;
    case Destination::kAlignment:
      return alignment_;
    case Destination::kBilling:
      return billing_;
    case Destination::kWorker:
      return workers_;
    case Destination::kRetrieval:
      return retrieval_;
    case Destination::kGateway:
      break;
  }
  return gateway_;
}

absl::StatusOr<Backend*> Backends::Pick(Destination destination) {
  const auto& candidates = Of(destination);
  if (candidates.empty()) {
    return WithReason(
        absl::UnavailableError(absl::StrCat("this gateway knows no address of ",
                                            AbslView(DestinationName(destination)),
                                            "; its option is ", OptionOf(destination))),
        "BACKEND_NOT_CONFIGURED");
  }
  if (candidates.size() == 1) return candidates[0].get();
  const size_t first = turn_.fetch_add(1) % candidates.size();  // ties go around
  Backend* best = nullptr;
  bool best_reachable = false;
  for (size_t i = 0; i < candidates.size(); ++i) {
    Backend* backend = candidates[(first + i) % candidates.size()].get();
    const bool reachable =
        backend->channel->GetState(/*try_to_connect=*/true) != GRPC_CHANNEL_TRANSIENT_FAILURE;
    if (best != nullptr && (reachable < best_reachable ||
                            (reachable == best_reachable && backend->calls >= best->calls))) {
      continue;
    }
    best = backend;
    best_reachable = reachable;
  }
  return best;
}

}  // namespace floe::gateway
