#include "services/usage/receipt_status.h"

#include <utility>

#include "base/error_reason.h"

namespace floe::usage {
namespace {

constexpr char kReceipt[] = "receipt";

}  // namespace

absl::Status WithReceipt(absl::Status status, const std::string& digest) {
  if (status.ok() || digest.empty()) return status;
  ErrorReason reason = ReasonOf(status).value_or(ErrorReason{});
  reason.metadata[kReceipt] = digest;
  return WithReason(std::move(status), std::move(reason));
}

std::string ReceiptOf(const absl::Status& status) {
  const std::optional<ErrorReason> reason = ReasonOf(status);
  if (!reason) return "";
  const auto receipt = reason->metadata.find(kReceipt);
  return receipt == reason->metadata.end() ? "" : receipt->second;
}

}  // namespace floe::usage
