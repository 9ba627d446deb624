// Measured throughput of past pre-training, out of the fleet's jobs and their models' versions.
#pragma once

#include "cli/door/session.h"
#include "cli/plan/throughput.h"

#include "model/hardware.h"

namespace floe::cli {

// The newest runs on hardware like this one. Never an error: where there are none, or no fleet,
// `why` says so.
Throughput PastThroughput(Session& session, const model::Hardware& hardware);

}  // namespace floe::cli
