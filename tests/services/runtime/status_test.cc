#include "services/runtime/status.h"

#include "gtest/gtest.h"

#include "base/error_reason.h"

namespace floe::runtime {
namespace {

TEST(Status, EveryCodeGoesThereAndBackUnderItsName) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "why");
    const grpc::Status sent = ToGrpcStatus(status, "test.floe");
    EXPECT_EQ(static_cast<int>(sent.error_code()), code);
    const absl::Status back = FromGrpcStatus(sent);
    EXPECT_EQ(back.code(), status.code());
    EXPECT_EQ(back.message(), "why");
    EXPECT_EQ(ReasonOf(back)->reason, CodeName(status.code())) << "an error has a reason always";
    EXPECT_EQ(ReasonOf(back)->domain, "test.floe");
  }
  EXPECT_EQ(CodeName(absl::StatusCode::kFailedPrecondition), "FAILED_PRECONDITION");
}

TEST(Status, AReasonTravelsWithWhoSaidItFirst) {
  const absl::Status status = WithReason(
      absl::AbortedError("x"), ErrorReason{"ETAG_MISMATCH", "registry.floe", {{"etag", "7"}}});
  const auto reason = ReasonOf(FromGrpcStatus(ToGrpcStatus(status, "gateway.floe")));
  ASSERT_TRUE(reason.has_value());
  EXPECT_EQ(reason->reason, "ETAG_MISMATCH");
  EXPECT_EQ(reason->domain, "registry.floe");
  EXPECT_EQ(reason->metadata.at("etag"), "7");
}

TEST(Status, OkIsOkAndStrangersErrorsKeepTheirMessage) {
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus(), "x").ok());
  EXPECT_TRUE(FromGrpcStatus(grpc::Status::OK).ok());
  const grpc::Status stranger(grpc::StatusCode::INTERNAL, "boom", "\xff not our details");
  EXPECT_EQ(FromGrpcStatus(stranger).message(), "boom");
  EXPECT_FALSE(ReasonOf(FromGrpcStatus(stranger)).has_value());
}

}  // namespace
}  // namespace floe::runtime
