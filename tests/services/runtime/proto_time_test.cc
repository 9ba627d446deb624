#include "services/runtime/proto_time.h"

#include "gtest/gtest.h"

namespace floe::runtime {
namespace {

TEST(ProtoTimeTest, TimesComeBackDownToAMicrosecond) {
  for (const absl::Time time :
       {absl::UnixEpoch(), absl::FromUnixMicros(1), absl::FromUnixMicros(1'769'000'000'123'456),
        absl::FromCivil(absl::CivilSecond(9999, 12, 31, 23, 59, 59), absl::UTCTimeZone())}) {
    EXPECT_EQ(FromProto(ToProto(time)), time);
    EXPECT_EQ(FromProto(ToProto(time + absl::Nanoseconds(999))), time);
  }
}

TEST(ProtoTimeTest, ATimeBefore1970CountsItsNanosecondsForwards) {
  const auto proto = ToProto(absl::UnixEpoch() - absl::Nanoseconds(1));
  EXPECT_EQ(proto.seconds(), -1);
  EXPECT_EQ(proto.nanos(), 999'999'000);
}

TEST(ProtoTimeTest, DurationsComeBackWithBothPartsOfOneSign) {
  for (const absl::Duration duration : {absl::ZeroDuration(), absl::Nanoseconds(1),
                                        absl::Milliseconds(1500), -absl::Milliseconds(1500)}) {
    EXPECT_EQ(FromProto(ToProto(duration)), duration);
  }
  EXPECT_EQ(ToProto(-absl::Milliseconds(1500)).seconds(), -1);
  EXPECT_EQ(ToProto(-absl::Milliseconds(1500)).nanos(), -500'000'000);
}

TEST(ProtoTimeTest, TheEndsOfTimeAreTimesToo) {
  for (const absl::Time time : {absl::InfiniteFuture(), absl::InfinitePast()}) {
    EXPECT_GE(ToProto(time).nanos(), 0);
    EXPECT_LE(ToProto(time).nanos(), 999'999'999);
  }
}

}  // namespace
}  // namespace floe::runtime
