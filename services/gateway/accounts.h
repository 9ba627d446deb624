// The money parts of a gateway, made and ended together: prices, budgets, the usage journal and its
// way to billing.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include <boost/asio/thread_pool.hpp>

#include "base/postgres/pool.h"
#include "gateway/accounting.h"
#include "services/gateway/run.h"
#include "services/runtime/host.h"

namespace floe::gateway {

// Thread-safe.
class Accounts {
 public:
  virtual ~Accounts() = default;
  virtual const Prices& prices() = 0;
  virtual Budgets& budgets() = 0;
  virtual WorkflowSteps& steps() = 0;
  virtual UsageLog& usage() = 0;
  // Whether requests can be priced: billing has answered once.
  virtual absl::Status Ready() = 0;
  // No request runs any more: brings what is in the journal to billing. What it does not take
  // within the time waits on disk for the next process.
  virtual void Flush(absl::Duration timeout) = 0;

  // Without `billing` in the options everything is free. Borrows the others.
  static absl::StatusOr<std::unique_ptr<Accounts>> Open(const ServiceOptions& options,
                                                        runtime::Host& host,
                                                        postgres::Pool& database,
                                                        boost::asio::thread_pool& blocking);
};

}  // namespace floe::gateway
