// What people write as redis-url.
#include "gateway/redis/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace floe::gateway::redis {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(AddressTest, ReadsHostsPasswordsAndDatabases) {
  EXPECT_EQ(*ParseAddress("redis://cache"), (Address{.host = "cache"}));
  EXPECT_EQ(*ParseAddress("redis://:s3cret@cache:7000/2"),
            (Address{.host = "cache", .port = 7000, .password = "s3cret", .database = 2}));
  EXPECT_EQ(*ParseAddress("redis://floe:a%40b@[::1]:7000/"),
            (Address{.host = "::1", .port = 7000, .user = "floe", .password = "a@b"}));
}

TEST(AddressTest, ReadsSockets) {
  EXPECT_EQ(*ParseAddress("/run/redis.sock"), (Address{.socket = "/run/redis.sock"}));
  EXPECT_EQ(*ParseAddress("unix:///run/redis.sock?db=3"),
            (Address{.socket = "/run/redis.sock", .database = 3}));
}

TEST(AddressTest, RefusesTheRestWithoutRepeatingIt) {
  for (const char* url :
       {"", "cache:6379", "http://:s3cret@cache", "redis://", "redis://:s3cret@cache:99999",
        "redis://:s3cret@cache/x", "redis://s3cret@cache", "redis://:s3cret@[::1",
        "redis://:s3cret@[::1]x", "unix://relative", "rediss://:s3cret@cache"}) {
    const auto address = ParseAddress(url);
    EXPECT_EQ(address.status().code(), absl::StatusCode::kInvalidArgument) << url;
    EXPECT_THAT(std::string(address.status().message()), HasSubstr("redis-url"));
    EXPECT_THAT(std::string(address.status().message()), Not(HasSubstr("s3cret")));
  }
  EXPECT_FALSE(ParseAddress("/" + std::string(107, 'x')).ok());
}

TEST(AddressTest, IsShownWithoutThePassword) {
  EXPECT_EQ(ParseAddress("redis://:s3cret@cache/1")->Shown(), "cache:6379/1");
}

}  // namespace
}  // namespace floe::gateway::redis
