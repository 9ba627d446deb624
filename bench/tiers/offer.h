// An open-loop load on a worker, by gRPC.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/time/time.h"

#include "base/clock.h"
#include "bench/tiers/open_loop.h"
#include "bench/worker/worker.h"
#include "floe/inference/v1/inference.grpc.pb.h"

namespace floe::bench {

// Sends arrivals when their time has come, and waits for all. Borrows its parts. For one Run.
class Offer {
 public:
  Offer(inference::v1::InferenceService::Stub& stub, const Served& served,
        const std::vector<Arrival>& arrivals)
      : stub_(stub), served_(served), arrivals_(arrivals), outcomes_(arrivals.size()) {}

  std::vector<Outcome> Run();
  absl::Duration elapsed() const { return clock_.Monotonic() - start_; }

 private:
  class Call;

  inference::v1::GenerateRequest RequestOf(size_t index) const;
  void End(size_t index, const Outcome& outcome);

  const SystemClock clock_;
  inference::v1::InferenceService::Stub& stub_;
  const Served& served_;
  const std::vector<Arrival>& arrivals_;
  absl::Duration start_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t ended_ = 0;               // guarded by mutex_
  std::vector<Outcome> outcomes_;  // as well
};

}  // namespace floe::bench
