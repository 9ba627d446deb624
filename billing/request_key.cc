#include "billing/request_key.h"

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/view.h"

namespace floe::billing {

absl::Status CheckRepeat(const RequestKey& request, std::string_view first_fingerprint,
                         std::string_view what) {
  // Empty: kept before there were fingerprints.
  if (first_fingerprint.empty() || first_fingerprint == request.fingerprint) {
    return absl::OkStatus();
  }
  return WithReason(absl::InvalidArgumentError(absl::StrCat(
                        "request_id ", request.id, " was used for another ", AbslView(what),
                        " before; give every new change an id of its own")),
                    "REQUEST_ID_REUSED");
}

}  // namespace floe::billing
