// Limits in a real Redis: exact under parallel requests, and gone with those who held them.
#include "gateway/limits/redis/redis_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "tests/gateway/asio_run.h"
#include "tests/support/redis.h"

namespace floe::gateway::limits {
namespace {

redis::Client::Options At(const test::Redis& server) {
  return {.address = {.socket = server.socket()}, .reply_timeout = absl::Seconds(20)};
}

class RedisLimitsTest : public testing::Test {
 protected:
  Admission Admit(RateLimits& limits, int64_t requests, int64_t concurrent) {
    auto admission = RunToEnd(limits.Admit(key_, requests, concurrent));
    EXPECT_TRUE(admission.ok()) << admission.status();
    return admission.value_or(Admission{});
  }
  Charge ChargeFor(int64_t limit, int64_t tokens) {
    auto charge = RunToEnd(limits_.ChargeTokens(key_, limit, tokens));
    EXPECT_TRUE(charge.ok()) << charge.status();
    return charge.value_or(Charge{});
  }
  // Commands are answered in order, so what was settled before counts.
  void GiveBack(const std::string& place) { limits_.Settle({key_, place, 0, 0}); }

  redis::Client client_{At(test::Redis::Shared())};
  RedisLimits limits_{client_, {.gateway_id = "gateway-1"}};
  const std::string key_ = testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(RedisLimitsTest, RequestsAMinuteAreCountedDown) {
  for (int64_t left = 2; left >= 0; --left) {
    const Admission admission = Admit(limits_, 3, 0);
    EXPECT_EQ(admission.refusal, Refusal::kNone);
    EXPECT_EQ(admission.requests.limit, 3);
    EXPECT_EQ(admission.requests.remaining, left);
    EXPECT_TRUE(admission.place.empty());
  }
  const Admission refused = Admit(limits_, 3, 0);
  EXPECT_EQ(refused.refusal, Refusal::kRequests);
  EXPECT_EQ(refused.requests.remaining, 0);
  // A third of a minute a request.
  EXPECT_GT(refused.retry_after, absl::ZeroDuration());
  EXPECT_LE(refused.retry_after, absl::Seconds(20));
  EXPECT_LE(refused.requests.reset, absl::Minutes(1));
  EXPECT_GT(refused.requests.reset, absl::Seconds(40));
}

TEST_F(RedisLimitsTest, TheBucketRefillsByTheClockOfRedis) {
  // 60,000 a minute are one a millisecond.
  const int64_t limit = 60'000;
  EXPECT_FALSE(ChargeFor(limit, limit).refused);
  const absl::Time start = absl::Now();
  int64_t got = 0;
  while (got < 100) got += ChargeFor(limit, 10).refused ? 0 : 10;
  const absl::Duration took = absl::Now() - start;
  EXPECT_GE(took, absl::Milliseconds(95));
}

TEST_F(RedisLimitsTest, KeysAreCountedApart) {
  EXPECT_EQ(Admit(limits_, 1, 0).refusal, Refusal::kNone);
  EXPECT_EQ(Admit(limits_, 1, 0).refusal, Refusal::kRequests);
  const auto other = RunToEnd(limits_.Admit(key_ + "-other", 1, 0));
  EXPECT_EQ(other->refusal, Refusal::kNone);
}

TEST_F(RedisLimitsTest, WhatIsNotUsedGoesBack) {
  const int64_t limit = 1'000'000;
  EXPECT_EQ(ChargeFor(limit, 900'000).tokens.remaining, 100'000);
  const Charge refused = ChargeFor(limit, 900'000);
  EXPECT_TRUE(refused.refused);
  EXPECT_GT(refused.retry_after, absl::Seconds(30));
  limits_.Settle({key_, "", limit, 850'000});
  const Charge charge = ChargeFor(limit, 900'000);
  EXPECT_FALSE(charge.refused);
}

TEST_F(RedisLimitsTest, ABucketNeverHoldsMoreThanItsLimit) {
  EXPECT_FALSE(ChargeFor(1000, 10).refused);
  limits_.Settle({key_, "", 1000, 1'000'000});
  EXPECT_EQ(ChargeFor(1000, 400).tokens.remaining, 600);
}

TEST_F(RedisLimitsTest, PlacesAreExactUnder50ParallelRequests) {
  std::atomic<int> admitted = 0;
  std::atomic<int> refused = 0;
  std::mutex mutex;
  std::vector<std::string> places;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 50; ++i) {
      threads.emplace_back([&] {
        const Admission admission = Admit(limits_, 0, 7);
        ++(admission.refusal == Refusal::kNone ? admitted : refused);
        const std::lock_guard lock(mutex);
        if (!admission.place.empty()) places.push_back(admission.place);
      });
    }
  }
  EXPECT_EQ(admitted, 7);
  EXPECT_EQ(refused, 43);
  ASSERT_EQ(places.size(), 7u);
  // And none is refused later for a place that nobody holds.
  for (const std::string& place : places) GiveBack(place);
  for (int i = 0; i < 7; ++i) EXPECT_EQ(Admit(limits_, 0, 7).refusal, Refusal::kNone);
  EXPECT_EQ(Admit(limits_, 0, 7).refusal, Refusal::kConcurrent);
}

TEST_F(RedisLimitsTest, ARequestThatFindsNoPlaceIsNotCounted) {
  const Admission first = Admit(limits_, 10, 1);
  EXPECT_EQ(first.requests.remaining, 9);
  EXPECT_EQ(Admit(limits_, 10, 1).refusal, Refusal::kConcurrent);
  GiveBack(first.place);
  EXPECT_EQ(Admit(limits_, 10, 1).requests.remaining, 8);
}

TEST_F(RedisLimitsTest, APlaceCanBeGivenBackTwice) {
  const Admission first = Admit(limits_, 0, 1);
  GiveBack(first.place);
  GiveBack(first.place);
  EXPECT_EQ(Admit(limits_, 0, 1).refusal, Refusal::kNone);
  EXPECT_EQ(Admit(limits_, 0, 1).refusal, Refusal::kConcurrent);
}

TEST_F(RedisLimitsTest, ADeadGatewaysPlacesAreFreeAgain) {
  {
    RedisLimits dead(client_, {.lease = absl::Milliseconds(300), .gateway_id = "gateway-2"});
    for (int i = 0; i < 3; ++i) EXPECT_EQ(Admit(dead, 0, 3).refusal, Refusal::kNone);
    EXPECT_EQ(Admit(limits_, 0, 3).refusal, Refusal::kConcurrent);
  }
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  Refusal refusal = Refusal::kConcurrent;
  while (refusal != Refusal::kNone && absl::Now() < give_up) {
    refusal = Admit(limits_, 0, 3).refusal;
  }
  EXPECT_EQ(refusal, Refusal::kNone);
}

TEST_F(RedisLimitsTest, ALivingGatewayKeepsItsPlaces) {
  RedisLimits living(client_, {.lease = absl::Milliseconds(300), .gateway_id = "gateway-2"});
  const Admission held = Admit(living, 0, 1);
  ASSERT_EQ(held.refusal, Refusal::kNone);
  // Longer than three leases.
  const absl::Time until = absl::Now() + absl::Seconds(1);
  while (absl::Now() < until) {
    living.Renew();
    ASSERT_EQ(Admit(limits_, 0, 1).refusal, Refusal::kConcurrent);
  }
  living.Settle({key_, held.place, 0, 0});
  EXPECT_EQ(Admit(limits_, 0, 1).refusal, Refusal::kNone);
}

TEST(RedisLimitsFaultsTest, ARedisThatForgotEverythingKnowsTheHeldPlacesAfterTheNextRenewal) {
  test::Redis server;
  redis::Client client(At(server));
  RedisLimits limits(client, {.gateway_id = "gateway-1"});
  const auto held = RunToEnd(limits.Admit("key", 0, 1));
  ASSERT_TRUE(held.ok());
  server.Stop();
  // Fails, and holds nothing.
  const auto away = RunToEnd(limits.Admit("key", 0, 1));
  EXPECT_EQ(away.status().code(), absl::StatusCode::kUnavailable);
  server.Start();
  const absl::Time give_up = absl::Now() + absl::Seconds(30);
  while (!client.connected() && absl::Now() < give_up) std::this_thread::yield();
  limits.Renew();
  const auto refused = RunToEnd(limits.Admit("key", 0, 1));
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_EQ(refused->refusal, Refusal::kConcurrent);
  limits.Settle({"key", held->place, 0, 0});
  EXPECT_EQ(RunToEnd(limits.Admit("key", 0, 1))->refusal, Refusal::kNone);
}

TEST(ResetTextTest, RoundsUpToMilliseconds) {
  EXPECT_EQ(ResetText(absl::ZeroDuration()), "0");
  EXPECT_EQ(ResetText(absl::Microseconds(1)), "1ms");
  EXPECT_EQ(ResetText(absl::Seconds(90)), "1m30s");
}

}  // namespace
}  // namespace floe::gateway::limits
