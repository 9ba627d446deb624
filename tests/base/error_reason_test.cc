#include "base/error_reason.h"

#include "absl/strings/cord.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace floe {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(ErrorReason, RidesOnAStatus) {
  const absl::Status status =
      WithReason(absl::NotFoundError("no such model"), "MODEL_NOT_FOUND", {{"model", "a:b,c"}});
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "no such model");
  const auto reason = ReasonOf(status);
  ASSERT_TRUE(reason.has_value());
  EXPECT_EQ(reason->reason, "MODEL_NOT_FOUND");
  EXPECT_EQ(reason->domain, "");
  EXPECT_THAT(reason->metadata, ElementsAre(Pair("model", "a:b,c")));
}

TEST(ErrorReason, TheLastOneCounts) {
  absl::Status status = WithReason(absl::AbortedError("x"), "FIRST");
  status = WithReason(status, ErrorReason{"SECOND", "registry.floe", {}});
  EXPECT_EQ(ReasonOf(status)->reason, "SECOND");
  EXPECT_EQ(ReasonOf(status)->domain, "registry.floe");
}

TEST(ErrorReason, OkStaysOkAndOthersHaveNone) {
  EXPECT_TRUE(WithReason(absl::OkStatus(), "X").ok());
  EXPECT_FALSE(ReasonOf(WithReason(absl::OkStatus(), "X")).has_value());
  EXPECT_FALSE(ReasonOf(absl::InternalError("x")).has_value());
}

TEST(ErrorReason, APayloadThatIsDamagedIsNoReason) {
  for (const char* payload : {"", "5:ab,", "x", "99999999999999999999:a,", "1:a,0:"}) {
    absl::Status status = absl::InternalError("x");
    status.SetPayload("floe/error-reason", absl::Cord(payload));
    EXPECT_FALSE(ReasonOf(status).has_value()) << payload;
  }
}

}  // namespace
}  // namespace floe
