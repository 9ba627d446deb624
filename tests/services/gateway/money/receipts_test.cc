// The receipts of workers on their way over the gateway to billing, whatever ended their calls.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "services/runtime/status.h"
#include "services/usage/receipt_status.h"
#include "tests/services/gateway/http/worker_behaviours.h"
#include "tests/services/gateway/money/till.h"

namespace floe::gateway {
namespace {

namespace pb = billing::v1;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kCompletion[] = R"({"model": "hamlet", "prompt": "abc", "max_tokens": 6})";
constexpr char kEmbedding[] = R"({"model": "hamlet", "input": ["abc", "de"]})";

class ReceiptsTest : public testing::Test {
 protected:
  void Start(int workers) {
    fleet_.emplace(FakeFleetOptions{.workers = workers, .money = till_.ports()});
  }
  int Post(std::string_view path, std::string_view body) {
    return HttpClient(fleet_->port()).Post(path, body).status;
  }
  // What billing was told of the request that a worker saw.
  pb::UsageEvent EventOf(const std::string& usage_id) {
    // Nobody waits for the record of a request that was refused.
    while (till_.journal().stats().appended == 0) till_.journal().Sync();
    EXPECT_TRUE(till_.Flush());
    return billing_.Explain(usage_id).event();
  }
  std::string GeneratedUsage() { return fleet_->worker().requests().at(0).usage_id(); }
  std::string EmbeddedUsage() { return fleet_->worker().embeds().at(0).usage_id(); }

  BillingProcess billing_;
  Till till_{billing_};
  std::optional<FakeFleet> fleet_;
};

TEST_F(ReceiptsTest, ComeWithVectors) {
  Start(1);
  fleet_->worker().SignEmbeds("receipt-1");
  EXPECT_EQ(Post("/v1/embeddings", kEmbedding), 200);
  const pb::UsageEvent event = EventOf(EmbeddedUsage());
  EXPECT_THAT(event.receipts(), ElementsAre("receipt-1"));
  EXPECT_EQ(event.outcome(), pb::UsageEvent::COMPLETED);
}

TEST_F(ReceiptsTest, ComeWithTheErrorThatEndsAnAnswer) {
  Start(1);
  fleet_->worker().Behave(
      DieAfter(3, usage::WithReceipt(absl::InternalError("broken"), "receipt-1")));
  EXPECT_EQ(Post("/v1/completions", kCompletion), 500);
  const pb::UsageEvent event = EventOf(GeneratedUsage());
  EXPECT_THAT(event.receipts(), ElementsAre("receipt-1"));
  EXPECT_EQ(event.outcome(), pb::UsageEvent::FAILED);
}

// Nothing came, so nothing is charged; billing is told all the same who worked on it.
TEST_F(ReceiptsTest, ComeWithARefusalBehindWork) {
  Start(2);
  const absl::Status full = absl::ResourceExhaustedError("full");
  fleet_->worker(0).RefuseEmbeds(
      runtime::ToGrpcStatus(usage::WithReceipt(full, "receipt-1"), "inference.floe"));
  fleet_->worker(1).RefuseEmbeds(runtime::ToGrpcStatus(full, "inference.floe"));
  EXPECT_EQ(Post("/v1/embeddings", kEmbedding), 429);
  const pb::UsageEvent event = EventOf(EmbeddedUsage());
  EXPECT_THAT(event.receipts(), ElementsAre("receipt-1"));
  EXPECT_EQ(event.outcome(), pb::UsageEvent::FAILED);
  EXPECT_EQ(event.quantities().input_tokens(), 0);
  const pb::VerifyUsageResponse verified = billing_.Verify();
  ASSERT_EQ(verified.differences_size(), 1) << "no worker has brought that record";
  EXPECT_THAT(verified.differences(0).what(), HasSubstr("receipt-1"));
}

TEST_F(ReceiptsTest, AreAsManyAsWorkersThatAnAnswerPassed) {
  Start(2);
  const auto died = usage::WithReceipt(absl::UnavailableError("ends"), "receipt-1");
  int calls = 0;
  for (size_t i = 0; i < 2; ++i) {
    fleet_->worker(i).Behave([&calls, died](grpc::ServerContext& context,
                                            const inference::v1::GenerateRequest& request,
                                            FakeWorker::Writer& writer) {
      if (calls++ == 0) return DieAfter(3, died)(context, request, writer);
      inference::v1::GenerateResponse last;
      last.add_ids(static_cast<uint32_t>(FakeWorker::LetterAt(request.sampling().seed(), 2)));
      last.mutable_finish()->set_reason(inference::v1::Finish::STOP);
      last.mutable_finish()->set_receipt("receipt-2");
      writer.Write(last);
      return grpc::Status::OK;
    });
  }
  EXPECT_EQ(Post("/v1/completions", kCompletion), 200);
  std::string usage_id;
  for (size_t i = 0; i < 2; ++i) {
    for (const auto& request : fleet_->worker(i).requests()) usage_id = request.usage_id();
  }
  const pb::UsageEvent event = EventOf(usage_id);
  EXPECT_THAT(event.receipts(), ElementsAre("receipt-1", "receipt-2"));
  EXPECT_EQ(event.arrived_tokens(), 3);
}

TEST_F(ReceiptsTest, NobodyIsHeldToARefusalThatIsNotSigned) {
  Start(1);
  fleet_->worker().Behave(Refuse(absl::ResourceExhaustedError("full")));
  EXPECT_EQ(Post("/v1/completions", kCompletion), 429);
  ASSERT_TRUE(till_.Flush());
  EXPECT_EQ(billing_.Total().requests(), 0);
  EXPECT_EQ(billing_.Verify().differences_size(), 0);
}

}  // namespace
}  // namespace floe::gateway
