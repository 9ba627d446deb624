// What a worker signs for, call by call: the receipt that its caller gets is that of its record.
#include <map>

#include "base/error_reason.h"
#include "base/journal/journal.h"
#include "billing/receipt.h"
#include "services/runtime/status.h"
#include "services/usage/attempt_proto.h"
#include "services/usage/receipt_status.h"
#include "tests/services/inference/worker_fixture.h"

namespace floe::inference {
namespace {

class ReceiptsTest : public WorkerTest {
 protected:
  void SetUp() override {
    digest_ = Publish(0.5f, /*context=*/8192);
    KeepAttempts();
    Start({.serve = {.engine = {.num_threads = 1}}});
  }
  // The worker's records, by usage id; it ends.
  std::map<std::string, billing::Attempt> Records() {
    Stop();
    const auto journal = *Journal::Open({.folder = dir_ / "attempts/ended"});
    std::map<std::string, billing::Attempt> records;
    const auto entries = *journal->ReadAfter(0, 1000);
    for (const auto& entry : entries) {
      billing::v1::Attempt attempt;
      EXPECT_TRUE(attempt.ParseFromString(entry.record));
      records[attempt.usage_id()] = usage::FromProto(attempt);
    }
    return records;
  }
  v1::EmbedRequest Texts(int count, const std::string& usage_id) {
    v1::EmbedRequest request;
    request.set_checkpoint_digest(digest_);
    request.set_usage_id(usage_id);
    for (int i = 0; i < count; ++i) {
      auto& sequence = *request.add_sequences();
      for (uint32_t id = 0; id < 20; ++id) sequence.add_ids(id);
    }
    return request;
  }
  // The answer's or the error's.
  std::string EmbedReceipt(const v1::EmbedRequest& request) {
    grpc::ClientContext context;
    v1::EmbedResponse response;
    const grpc::Status status = stub().Embed(&context, request, &response);
    return status.ok() ? response.receipt() : usage::ReceiptOf(runtime::FromGrpcStatus(status));
  }
  std::string digest_;
};

TEST_F(ReceiptsTest, VectorsHaveOne) {
  const std::string receipt = EmbedReceipt(Texts(3, "u1"));
  const billing::Attempt record = Records().at("u1");
  EXPECT_EQ(record.receipt.digest, receipt);
  EXPECT_EQ(record.receipt.digest, billing::ReceiptDigest(record));
  EXPECT_EQ(record.outcome, billing::AttemptOutcome::kFinished);
  EXPECT_EQ(record.model_tokens, 60);
}

TEST_F(ReceiptsTest, AnAnswerThatIsHandedOverHasOne) {
  v1::GenerateRequest request = Ask(digest_, "Once", 8000);
  request.set_usage_id("u1");
  request.set_ignore_eos(true);
  grpc::ClientContext context;
  const auto stream = stub().Generate(&context, request);
  v1::GenerateResponse response;
  ASSERT_TRUE(stream->Read(&response));
  rpc().EndBy(clock_.Now());
  int64_t ids = response.ids_size();
  while (stream->Read(&response)) ids += response.ids_size();
  const absl::Status status = runtime::FromGrpcStatus(stream->Finish());
  EXPECT_EQ(ReasonOf(status)->reason, "HANDED_OVER") << "beside the receipt";
  const billing::Attempt record = Records().at("u1");
  EXPECT_EQ(record.receipt.digest, usage::ReceiptOf(status));
  EXPECT_EQ(record.receipt.digest, billing::ReceiptDigest(record));
  EXPECT_EQ(record.sent_tokens, ids);
  EXPECT_GT(record.model_tokens, 0) << "all that it took is signed for";
}

TEST_F(ReceiptsTest, WhatWasNotBegunHasNoneAndLeavesNoRecord) {
  v1::EmbedRequest unknown = Texts(1, "u1");
  unknown.set_checkpoint_digest(std::string(64, '0'));
  EXPECT_EQ(EmbedReceipt(unknown), "");
  rpc().EndBy(clock_.Now() + absl::Hours(1));
  EXPECT_EQ(EmbedReceipt(Texts(1, "u2")), "");
  v1::GenerateRequest request = Ask(digest_, "Once", 1);
  request.set_usage_id("u3");
  EXPECT_EQ(usage::ReceiptOf(runtime::FromGrpcStatus(Generate(request).status)), "");
  EXPECT_TRUE(Records().empty());
}

}  // namespace
}  // namespace floe::inference
