#include "gateway/redis/client.h"

#include <hiredis/hiredis.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace floe::gateway::redis {
namespace {

// Between attempts to connect, doubling.
constexpr absl::Duration kFirstPause = absl::Milliseconds(50);
constexpr absl::Duration kLongestPause = absl::Seconds(1);
constexpr size_t kMaxBatch = 256;
constexpr int kMaxDepth = 8;  // of a reply's lists

using Context = std::unique_ptr<redisContext, decltype(&redisFree)>;
using Raw = std::unique_ptr<redisReply, decltype(&freeReplyObject)>;

Reply ToReply(const redisReply& raw, int depth) {
  Reply reply;
  switch (raw.type) {
    case REDIS_REPLY_INTEGER:
      reply.kind = Reply::Kind::kInteger;
      reply.integer = raw.integer;
      break;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
      reply.kind = Reply::Kind::kText;
      reply.text.assign(raw.str, static_cast<size_t>(raw.len));
      break;
    case REDIS_REPLY_ARRAY:
      reply.kind = Reply::Kind::kList;
      for (size_t i = 0; i < raw.elements && depth < kMaxDepth; ++i) {
        reply.list.push_back(ToReply(*raw.element[i], depth + 1));
      }
      break;
    default:
      break;
  }
  return reply;
}

absl::Status ErrorOf(const redisReply& raw) {
  const absl::string_view text(raw.str, static_cast<size_t>(raw.len));
  // Loading after a restart, or a replica that lost its master: it will be back.
  for (const char* passing : {"LOADING", "MASTERDOWN", "BUSY", "READONLY", "OOM"}) {
    if (text.substr(0, std::string_view(passing).size()) == passing) {
      return absl::UnavailableError(absl::StrCat("Redis: ", text));
    }
  }
  return absl::InternalError(absl::StrCat("Redis: ", text));
}

bool IsUnknownScript(const redisReply& raw) {
  return raw.type == REDIS_REPLY_ERROR && std::string_view(raw.str).starts_with("NOSCRIPT");
}

}  // namespace

class Client::Worker {
 public:
  explicit Worker(Options options) : options_(std::move(options)) {
    wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    thread_ = std::thread([this] { Work(); });
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return tried_; });
  }

  ~Worker() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    Wake();
    changed_.notify_all();
    thread_.join();
    ::close(wake_);
    FailAll(queue_, absl::CancelledError("the gateway stops"));
  }

  void Send(std::vector<std::string> words, const Script* script, Done done) {
    absl::Status refused;
    {
      const std::lock_guard lock(mutex_);
      if (!connected_ || stopping_) {
        refused = away_;
      } else if (queue_.size() >= options_.max_waiting) {
        refused = absl::ResourceExhaustedError("too many commands wait for Redis");
      } else {
        queue_.push_back({std::move(words), script == nullptr ? "" : script->text(), done});
      }
    }
    if (refused.ok()) {
      Wake();
    } else {
      done(std::move(refused));
    }
  }

  bool connected() const {
    const std::lock_guard lock(mutex_);
    return connected_;
  }

 private:
  struct Command {
    std::vector<std::string> words;
    std::string script;  // the text behind an EVALSHA, until it was sent
    Done done;
  };
  using Commands = std::deque<Command>;

  static void FailAll(Commands& commands, const absl::Status& why) {
    for (Command& command : commands) command.done(why);
    commands.clear();
  }

  void Wake() {
    const uint64_t one = 1;
    // A full counter wakes as well.
    [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof(one));
  }

  void Work() {
    // A connection that the server closed must not end the process when it is written to.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    absl::Duration pause = kFirstPause;
    while (!stopping()) {
      Context context(nullptr, &redisFree);
      absl::Status status = Connect(context);
      SetConnected(status);
      if (status.ok()) {
        pause = kFirstPause;
        status = Serve(*context);
        SetConnected(status);
      }
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, absl::ToChronoMilliseconds(pause), [this] { return stopping_; });
      pause = std::min(pause * 2, kLongestPause);
    }
  }

  bool stopping() const {
    const std::lock_guard lock(mutex_);
    return stopping_;
  }

  // OK: commands are taken from now on. Otherwise those that wait fail.
  void SetConnected(const absl::Status& status) {
    Commands failed;
    bool changed = false;
    {
      const std::lock_guard lock(mutex_);
      changed = connected_ != status.ok() || !tried_;
      connected_ = status.ok();
      tried_ = true;
      if (!status.ok()) {
        away_ = absl::UnavailableError(absl::StrCat("Redis is away: ", status.message()));
        failed.swap(queue_);
      }
    }
    changed_.notify_all();
    FailAll(failed, absl::UnavailableError(absl::StrCat("Redis is away: ", status.message())));
    if (changed && options_.on_change != nullptr && !stopping()) options_.on_change(status);
  }

  absl::Status Connect(Context& context) {
    const Address& address = options_.address;
    sent_scripts_.clear();
    const timeval timeout = absl::ToTimeval(options_.connect_timeout);
    context.reset(address.socket.empty()
                      ? redisConnectWithTimeout(address.host.c_str(), address.port, timeout)
                      : redisConnectUnixWithTimeout(address.socket.c_str(), timeout));
    if (context == nullptr) return absl::ResourceExhaustedError("no memory for a connection");
    if (context->err != 0) {
      return absl::UnavailableError(absl::StrCat(address.Shown(), ": ", context->errstr));
    }
    redisSetTimeout(context.get(), absl::ToTimeval(options_.reply_timeout));
    std::vector<std::vector<std::string>> greetings;
    if (!address.password.empty() && address.user.empty()) {
      greetings.push_back({"AUTH", address.password});
    } else if (!address.password.empty()) {
      greetings.push_back({"AUTH", address.user, address.password});
    }
    if (address.database != 0) greetings.push_back({"SELECT", absl::StrCat(address.database)});
    greetings.push_back({"PING"});
    for (const auto& words : greetings) {
      Append(*context, words);
      const Raw raw = Receive(*context);
      if (raw == nullptr) return Broken(*context);
      if (raw->type == REDIS_REPLY_ERROR) return ErrorOf(*raw);
    }
    return absl::OkStatus();
  }

  // Until the connection breaks or the client stops.
  absl::Status Serve(redisContext& context) {
    while (true) {
      Commands batch;
      {
        const std::lock_guard lock(mutex_);
        if (stopping_) return absl::CancelledError("the gateway stops");
        const size_t count = std::min(queue_.size(), kMaxBatch);
        const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
        std::move(queue_.begin(), end, std::back_inserter(batch));
        queue_.erase(queue_.begin(), end);
      }
      const absl::Status status = batch.empty() ? WaitForWork(context) : Exchange(context, batch);
      if (!status.ok()) return status;
    }
  }

  // Notices a server that goes while there is nothing to ask, so that the next command need not.
  absl::Status WaitForWork(redisContext& context) {
    pollfd fds[2] = {{wake_, POLLIN, 0}, {context.fd, POLLIN, 0}};
    if (::poll(fds, 2, -1) < 0) return absl::OkStatus();
    if (fds[0].revents != 0) {
      uint64_t count = 0;
      [[maybe_unused]] const ssize_t size = ::read(wake_, &count, sizeof(count));
    }
    if (fds[1].revents != 0) return absl::UnavailableError("the server closed the connection");
    return absl::OkStatus();
  }

  absl::Status Exchange(redisContext& context, Commands& batch) {
    for (Command& command : batch) {
      // Sent whole the first time on a connection, so that commands stay in their order.
      const bool first = !command.script.empty() && sent_scripts_.insert(command.words[1]).second;
      if (first) SendWhole(command);
      Append(context, command.words);
    }
    Commands again;
    while (!batch.empty()) {
      const Raw raw = Receive(context);
      if (raw == nullptr) {
        const absl::Status why = Broken(context);
        const absl::Status away =
            absl::UnavailableError(absl::StrCat("Redis is away: ", why.message()));
        FailAll(batch, away);
        FailAll(again, away);
        return why;
      }
      Command command = std::move(batch.front());
      batch.pop_front();
      if (IsUnknownScript(*raw) && !command.script.empty()) {
        SendWhole(command);  // the server forgot it
        again.push_back(std::move(command));
      } else if (raw->type == REDIS_REPLY_ERROR) {
        command.done(ErrorOf(*raw));
      } else {
        command.done(ToReply(*raw, 0));
      }
    }
    return again.empty() ? absl::OkStatus() : Exchange(context, again);
  }

  static void SendWhole(Command& command) {
    command.words[0] = "EVAL";
    command.words[1] = std::exchange(command.script, "");
  }

  static void Append(redisContext& context, const std::vector<std::string>& words) {
    std::vector<const char*> texts;
    std::vector<size_t> sizes;
    for (const std::string& word : words) {
      texts.push_back(word.data());
      sizes.push_back(word.size());
    }
    redisAppendCommandArgv(&context, static_cast<int>(words.size()), texts.data(), sizes.data());
  }

  // Null when the connection is broken.
  static Raw Receive(redisContext& context) {
    void* raw = nullptr;
    if (redisGetReply(&context, &raw) != REDIS_OK) raw = nullptr;
    return {static_cast<redisReply*>(raw), &freeReplyObject};
  }

  static absl::Status Broken(const redisContext& context) {
    return absl::UnavailableError(context.err != 0 ? context.errstr : "no reply in time");
  }

  const Options options_;
  int wake_ = -1;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Commands queue_;                                               // guarded by mutex_
  bool connected_ = false;                                       // guarded by mutex_
  bool tried_ = false;                                           // guarded by mutex_
  bool stopping_ = false;                                        // guarded by mutex_
  absl::Status away_ = absl::UnavailableError("Redis is away");  // guarded by mutex_
  std::set<std::string> sent_scripts_;  // on this connection, by SHA-1; of the thread alone
  std::thread thread_;
};

Client::Client(Options options) : worker_(std::make_unique<Worker>(std::move(options))) {}
Client::~Client() = default;

bool Client::connected() const { return worker_->connected(); }

void Client::Send(std::vector<std::string> words, Done done) {
  worker_->Send(std::move(words), nullptr, std::move(done));
}

void Client::Send(const Script& script, std::vector<std::string> keys,
                  std::vector<std::string> arguments, Done done) {
  std::vector<std::string> words = {"EVALSHA", script.sha1(), absl::StrCat(keys.size())};
  std::move(keys.begin(), keys.end(), std::back_inserter(words));
  std::move(arguments.begin(), arguments.end(), std::back_inserter(words));
  worker_->Send(std::move(words), &script, std::move(done));
}

namespace {

// Awaits what `start(done)` will give, and resumes where the coroutine runs.
template <typename Start>
Awaitable<absl::StatusOr<Reply>> Await(Start start) {
  namespace asio = boost::asio;
  auto initiate = [start = std::move(start)](auto handler) mutable {
    const auto executor = asio::get_associated_executor(handler);
    using Handler = std::decay_t<decltype(handler)>;
    using Work = asio::executor_work_guard<std::decay_t<decltype(executor)>>;
    struct Waiting {
      Handler handler;
      Work work;  // keeps the loop running while nothing but Redis is waited for
    };
    // Shared since Done is copyable; used once.
    auto waiting = std::make_shared<Waiting>(Waiting{std::move(handler), Work(executor)});
    start([waiting](absl::StatusOr<Reply> reply) {
      const auto where = waiting->work.get_executor();
      asio::post(where, [waiting, reply = std::move(reply)]() mutable {
        Waiting own = std::move(*waiting);
        std::move(own.handler)(std::move(reply));
      });
    });
  };
  co_return co_await asio::async_initiate<decltype(asio::use_awaitable),
                                          void(absl::StatusOr<Reply>)>(std::move(initiate),
                                                                       asio::use_awaitable);
}

}  // namespace

// Named, since GCC 12 destroys a temporary inside a co_await twice.
Awaitable<absl::StatusOr<Reply>> Client::Run(std::vector<std::string> words) {
  auto start = [this, words = std::move(words)](Done done) mutable {
    Send(std::move(words), std::move(done));
  };
  co_return co_await Await(std::move(start));
}

Awaitable<absl::StatusOr<Reply>> Client::Run(const Script& script, std::vector<std::string> keys,
                                             std::vector<std::string> arguments) {
  auto start = [this, &script, keys = std::move(keys),
                arguments = std::move(arguments)](Done done) mutable {
    Send(script, std::move(keys), std::move(arguments), std::move(done));
  };
  co_return co_await Await(std::move(start));
}

}  // namespace floe::gateway::redis
