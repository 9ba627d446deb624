// Attempts between floe.billing.v1 and the domain: for workers, which write them, and billing.
#pragma once

#include "billing/usage_event.h"
#include "floe/billing/v1/usage.pb.h"

namespace floe::usage {

billing::Attempt FromProto(const billing::v1::Attempt& attempt);
billing::v1::Attempt ToProto(const billing::Attempt& attempt);

}  // namespace floe::usage
