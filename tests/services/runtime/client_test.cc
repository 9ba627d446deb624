#include "services/runtime/client.h"

#include <grpcpp/grpcpp.h>

#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace floe::runtime {
namespace {

RetryPolicy Quick() { return {.max_attempts = 4, .first_delay = absl::Microseconds(1)}; }

TEST(Retry, RepeatsWhatIsUnavailableUntilItAnswers) {
  int calls = 0;
  EXPECT_TRUE(RetryStatus(Quick(), absl::InfiniteFuture(), [&]() -> absl::Status {
                return ++calls < 3 ? absl::UnavailableError("away") : absl::OkStatus();
              }).ok());
  EXPECT_EQ(calls, 3);
}

TEST(Retry, GivesUpAfterItsAttempts) {
  int calls = 0;
  EXPECT_EQ(RetryStatus(Quick(), absl::InfiniteFuture(),
                        [&]() -> absl::Status {
                          ++calls;
                          return absl::UnavailableError("away");
                        })
                .code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(calls, 4);
}

TEST(Retry, OtherErrorsAreFinal) {
  for (const absl::StatusCode code :
       {absl::StatusCode::kInternal, absl::StatusCode::kDeadlineExceeded,
        absl::StatusCode::kResourceExhausted, absl::StatusCode::kUnknown}) {
    int calls = 0;
    EXPECT_EQ(RetryStatus(Quick(), absl::InfiniteFuture(),
                          [&] {
                            ++calls;
                            return absl::Status(code, "no");
                          })
                  .code(),
              code);
    EXPECT_EQ(calls, 1);
  }
}

TEST(Retry, DoesNotWaitBeyondTheDeadline) {
  int calls = 0;
  const RetryPolicy slow{
      .max_attempts = 10, .first_delay = absl::Hours(1), .max_delay = absl::Hours(1)};
  EXPECT_TRUE(
      absl::IsUnavailable(RetryStatus(slow, absl::Now() + absl::Seconds(60), [&]() -> absl::Status {
        ++calls;
        return absl::UnavailableError("away");
      })));
  EXPECT_EQ(calls, 1);
}

TEST(Retry, AValueComesThrough) {
  int calls = 0;
  const auto value = RetryIdempotent(Quick(), absl::InfiniteFuture(), [&]() -> absl::StatusOr<int> {
    if (++calls < 2) return absl::UnavailableError("away");
    return 7;
  });
  EXPECT_EQ(*value, 7);
}

TEST(RetryDelay, DoublesUpToItsBoundInTheUpperHalf) {
  const RetryPolicy policy{.max_attempts = 9,
                           .first_delay = absl::Milliseconds(100),
                           .max_delay = absl::Milliseconds(500)};
  EXPECT_EQ(RetryDelay(policy, 1, 0), absl::Milliseconds(50));
  EXPECT_EQ(RetryDelay(policy, 2, 0), absl::Milliseconds(100));
  EXPECT_EQ(RetryDelay(policy, 3, 0.5), absl::Milliseconds(300));
  EXPECT_EQ(RetryDelay(policy, 60, 0), absl::Milliseconds(250));
}

TEST(OutgoingCall, OfTheServicesOwnIsANewTraceWithADeadline) {
  const OutgoingCall call = OutgoingCall::Own("request-1", absl::Seconds(5));
  EXPECT_EQ(call.identity.request_id, "request-1");
  EXPECT_EQ(call.identity.team, "");
  EXPECT_EQ(call.identity.trace.trace_id.size(), 32u);
  EXPECT_LE(call.deadline, absl::Now() + absl::Seconds(5));
  grpc::ClientContext context;
  PrepareCall(context, call);
  EXPECT_EQ(absl::FromChrono(context.deadline()), call.deadline);
}

TEST(MakeChannel, NeedsAnAddressAndCertificates) {
  EXPECT_EQ(MakeChannel("", {}, true).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeChannel("localhost:1", {}, false).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace floe::runtime
