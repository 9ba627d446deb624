// floe-billing as a process of a test's own, on a database of its own: killed and started again at
// the same address.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "absl/status/status.h"

#include "floe/billing/v1/budget.grpc.pb.h"
#include "floe/billing/v1/report.grpc.pb.h"
#include "services/runtime/client.h"
#include "services/runtime/status.h"
#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

namespace floe::gateway {

// Picodollars of the book that the process has from the start, `priceBooks/b1`: a prompt token, an
// output token, a call.
inline constexpr int64_t kInputPicos = 200'000;
inline constexpr int64_t kOutputPicos = 800'000;
inline constexpr int64_t kCallPicos = 100'000'000;

// From the test's main thread only, but for channel(). Failures abort the test.
class BillingProcess {
 public:
  BillingProcess();

  void Start();
  void Kill();

  int port() const { return port_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

  void PublishBook(const std::string& id, const std::string& yaml);
  // Of team `nlp`, for all time.
  void CreateBudget(const std::string& id, int64_t limit_picos);
  void CreateBudget(const std::string& id, int64_t limit_picos,
                    const billing::v1::Subject& subject);
  void SetLimit(const std::string& id, int64_t limit_picos);
  billing::v1::Budget Budget(const std::string& id);
  // Sums over everything.
  billing::v1::ReportRow Total();
  // Of all until now; nothing may be on its way any more.
  billing::v1::VerifyUsageResponse Verify();
  billing::v1::ExplainUsageResponse Explain(const std::string& usage_id);

  template <typename Service, typename Method, typename Request, typename Answer>
  absl::Status Call(Method method, const Request& request, Answer& answer) {
    const auto stub = Service::NewStub(channel_);
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    runtime::PrepareCall(context, runtime::OutgoingCall::Own("test", absl::Seconds(30)));
    return runtime::FromGrpcStatus((stub.get()->*method)(&context, request, &answer));
  }

 private:
  std::string Log() const;

  test::TempDir dir_;
  const std::string database_;
  int port_ = 0;
  test::ChildProcess service_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace floe::gateway
