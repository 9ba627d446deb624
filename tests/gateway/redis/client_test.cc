// The connection to a real Redis: what it carries, and what happens when the server goes.
#include "gateway/redis/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "absl/strings/str_cat.h"

#include "tests/gateway/asio_run.h"
#include "tests/support/redis.h"

namespace floe::gateway::redis {
namespace {

using testing::HasSubstr;

Client::Options At(const test::Redis& server) {
  // A crowded machine is no Redis that is away.
  return {.address = {.socket = server.socket()}, .reply_timeout = absl::Seconds(20)};
}

absl::StatusOr<Reply> Ask(Client& client, std::vector<std::string> words) {
  return RunToEnd(client.Run(std::move(words)));
}

// Counts how often the connection came and went.
struct Watch {
  std::mutex mutex;
  std::condition_variable changed;
  int came = 0;
  int went = 0;

  void operator()(const absl::Status& status) {
    const std::lock_guard lock(mutex);
    ++(status.ok() ? came : went);
    changed.notify_all();
  }
  bool WaitFor(int wanted_came, int wanted_went) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(30),
                            [&] { return came >= wanted_came && went >= wanted_went; });
  }
};

TEST(RedisClientTest, CarriesAnyBytes) {
  Client client(At(test::Redis::Shared()));
  const std::string bytes("a\0b\r\n\xff", 6);
  ASSERT_TRUE(Ask(client, {"SET", "bytes", bytes}).ok());
  const auto reply = Ask(client, {"GET", "bytes"});
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text, bytes);
  EXPECT_EQ(Ask(client, {"GET", "nothing"})->kind, Reply::Kind::kNil);
}

TEST(RedisClientTest, AnErrorOfTheServersIsOneCommands) {
  Client client(At(test::Redis::Shared()));
  const auto wrong = Ask(client, {"NOSUCHCOMMAND"});
  EXPECT_EQ(wrong.status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(wrong.status().message()), HasSubstr("unknown command"));
  EXPECT_TRUE(Ask(client, {"PING"}).ok());
}

TEST(RedisClientTest, AScriptIsSentWholeOnlyWhenTheServerForgotIt) {
  Client client(At(test::Redis::Shared()));
  const Script script("return {KEYS[1], ARGV[1], 7}");
  for (int i = 0; i < 2; ++i) {
    const auto reply = RunToEnd(client.Run(script, {"k"}, {"v"}));
    ASSERT_TRUE(reply.ok()) << reply.status();
    ASSERT_EQ(reply->list.size(), 3u);
    EXPECT_EQ(reply->list[0].text, "k");
    EXPECT_EQ(reply->list[1].text, "v");
    EXPECT_EQ(reply->list[2].integer, 7);
    ASSERT_TRUE(Ask(client, {"SCRIPT", "FLUSH"}).ok());
  }
}

TEST(RedisClientTest, ManyThreadsShareTheConnection) {
  Client client(At(test::Redis::Shared()));
  ASSERT_TRUE(Ask(client, {"DEL", "counter"}).ok());
  std::atomic<int> failed = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 200; ++j) failed += Ask(client, {"INCR", "counter"}).ok() ? 0 : 1;
    });
  }
  threads.clear();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(Ask(client, {"GET", "counter"})->text, "1600");
}

TEST(RedisClientTest, FailsAtOnceWhileTheServerIsAwayAndRecoversByItself) {
  test::Redis server;
  Watch watch;
  Client::Options options = At(server);
  options.on_change = std::ref(watch);
  Client client(std::move(options));
  ASSERT_TRUE(client.connected());
  ASSERT_TRUE(Ask(client, {"PING"}).ok());
  server.Stop();
  // Noticed though nothing was asked.
  ASSERT_TRUE(watch.WaitFor(1, 1));
  const auto away = Ask(client, {"PING"});
  EXPECT_EQ(away.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(away.status().message()), HasSubstr("Redis is away"));
  server.Start();
  ASSERT_TRUE(watch.WaitFor(2, 1));
  EXPECT_TRUE(Ask(client, {"PING"}).ok());
}

TEST(RedisClientTest, AServerThatNeverWasIsAway) {
  test::TempDir dir;
  Client client({.address = {.socket = dir / "none.sock"}});
  EXPECT_FALSE(client.connected());
  EXPECT_EQ(Ask(client, {"PING"}).status().code(), absl::StatusCode::kUnavailable);
}

TEST(RedisClientTest, AServerThatDoesNotAnswerIsGivenUp) {
  test::Redis server;
  Client::Options options = At(server);
  options.reply_timeout = absl::Milliseconds(50);
  Client client(std::move(options));
  // Of its own time; what waits behind it fails with it.
  const auto late = Ask(client, {"BLPOP", "never", "20"});
  EXPECT_EQ(late.status().code(), absl::StatusCode::kUnavailable);
}

TEST(RedisClientTest, WhatWaitsFailsWhenTheClientEnds) {
  test::Redis server;
  auto client = std::make_unique<Client>(At(server));
  std::atomic<int> answered = 0;
  for (int i = 0; i < 10; ++i) {
    client->Send({"PING"}, [&](const absl::StatusOr<Reply>&) { ++answered; });
  }
  client.reset();
  EXPECT_EQ(answered, 10);
}

}  // namespace
}  // namespace floe::gateway::redis
