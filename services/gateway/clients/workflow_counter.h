// Steps of workflows, counted in the gateways' own database.
#pragma once

#include <string>

#include <boost/asio/thread_pool.hpp>

#include "base/postgres/pool.h"
#include "gateway/accounting.h"

namespace floe::gateway {

// Thread-safe. Borrows both.
class WorkflowCounter final : public WorkflowSteps {
 public:
  WorkflowCounter(postgres::Pool& database, boost::asio::thread_pool& blocking)
      : database_(database), blocking_(blocking) {}

  boost::asio::awaitable<absl::Status> Count(const std::string& team, const std::string& workflow,
                                             int64_t max_steps) override;

 private:
  postgres::Pool& database_;
  boost::asio::thread_pool& blocking_;
};

}  // namespace floe::gateway
