// A worker's receipt (billing/receipt.h) on the error that ends a call: what was computed before is
// signed for too.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace floe::usage {

// `status` with the receipt's digest on its reason, which else stays as it is. An OK status, and
// any without a digest, is given back unchanged.
absl::Status WithReceipt(absl::Status status, const std::string& digest);

// The digest that came with `status`; empty: none did.
std::string ReceiptOf(const absl::Status& status);

}  // namespace floe::usage
