// The gateway's connection to Redis.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "gateway/awaitable.h"
#include "gateway/redis/address.h"
#include "gateway/redis/script.h"

namespace floe::gateway::redis {

// What Redis answered. Its own errors are a Status instead.
struct Reply {
  enum class Kind { kNil, kInteger, kText, kList };
  Kind kind = Kind::kNil;
  int64_t integer = 0;
  std::string text;
  std::vector<Reply> list;
};

// Thread-safe. One connection and one thread: commands that wait at the same time go out together.
// While the server is away every command fails at once with UNAVAILABLE, and the thread connects
// again by itself. A command that fails on the way may have been executed.
class Client {
 public:
  struct Options {
    Address address;
    absl::Duration connect_timeout = absl::Milliseconds(200);
    absl::Duration reply_timeout = absl::Milliseconds(250);
    size_t max_waiting = 10'000;  // further commands are RESOURCE_EXHAUSTED
    // Tells of the connection's coming (OK) and going, each once; on the client's thread.
    std::function<void(const absl::Status&)> on_change;
  };
  using Done = std::function<void(absl::StatusOr<Reply>)>;

  // Returns after the first attempt to connect, whatever came of it.
  explicit Client(Options options);
  // What still waits fails with CANCELLED.
  ~Client();

  // `words` are the command and its arguments, any bytes. `done` is called exactly once, perhaps
  // before this returns and perhaps on the client's thread, where it must not block.
  void Send(std::vector<std::string> words, Done done);
  // Runs a script with `keys` and `arguments`.
  void Send(const Script& script, std::vector<std::string> keys, std::vector<std::string> arguments,
            Done done);

  // The same for coroutines. The wait is short (reply_timeout), so cancelling does not end it.
  Awaitable<absl::StatusOr<Reply>> Run(std::vector<std::string> words);
  Awaitable<absl::StatusOr<Reply>> Run(const Script& script, std::vector<std::string> keys,
                                       std::vector<std::string> arguments);

  bool connected() const;

 private:
  class Worker;
  const std::unique_ptr<Worker> worker_;
};

}  // namespace floe::gateway::redis
