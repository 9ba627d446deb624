#include "tests/support/redis.h"

#include <hiredis/hiredis.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>

namespace floe::test {
namespace {

constexpr char kProgram[] = "/usr/bin/redis-server";

[[noreturn]] void Give(const std::string& why, const std::filesystem::path& log) {
  std::cerr << "private Redis: " << why << "\n" << std::ifstream(log).rdbuf() << std::endl;
  std::abort();
}

bool Answers(const std::filesystem::path& socket) {
  const std::unique_ptr<redisContext, decltype(&redisFree)> context(
      redisConnectUnix(socket.c_str()), &redisFree);
  if (context == nullptr || context->err != 0) return false;
  redisReply* reply = static_cast<redisReply*>(redisCommand(context.get(), "PING"));
  const bool answered = reply != nullptr && reply->type == REDIS_REPLY_STATUS;
  if (reply != nullptr) freeReplyObject(reply);
  return answered;
}

}  // namespace

Redis& Redis::Shared() {
  static Redis server;
  return server;
}

Redis::Redis() { Start(); }

Redis::~Redis() { Stop(); }

void Redis::Start() {
  if (server_.running()) return;
  const std::filesystem::path log = dir_ / "log";
  if (!std::filesystem::exists(kProgram)) {
    Give("no /usr/bin/redis-server; install the package redis-server", log);
  }
  auto server =
      ChildProcess::Start({.argv = {kProgram, "--port", "0", "--unixsocket", socket(), "--save", "",
                                    "--appendonly", "no", "--dir", dir_.path()},
                           .output = log});
  if (!server.ok()) Give(std::string(server.status().message()), log);
  server_ = *std::move(server);
  for (int attempt = 0; attempt < 3000; ++attempt) {
    if (Answers(socket())) return;
    if (server_.Wait(absl::Milliseconds(10))) break;
  }
  Give("the server does not answer", log);
}

void Redis::Stop() {
  if (!server_.running()) return;
  server_.Signal(SIGKILL);
  if (!server_.Wait(absl::Seconds(30))) Give("the server does not stop", dir_ / "log");
}

}  // namespace floe::test
