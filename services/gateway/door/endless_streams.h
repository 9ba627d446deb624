// The streams that would go on for as long as their clients like, so that a drain can end them.
#pragma once

#include <grpcpp/client_context.h>

#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace floe::gateway {

// Thread-safe.
class EndlessStreams {
 public:
  // `context` is shared, since a stream may end on its own while EndAll cancels it. False once
  // EndAll was called: then the stream should not begin.
  [[nodiscard]] bool Add(const void* stream, std::shared_ptr<grpc::ClientContext> context) {
    std::lock_guard lock(mutex_);
    if (ended_) return false;
    streams_.emplace(stream, std::move(context));
    return true;
  }

  void Remove(const void* stream) {
    std::lock_guard lock(mutex_);
    streams_.erase(stream);
  }

  bool ended() const {
    std::lock_guard lock(mutex_);
    return ended_;
  }

  void EndAll() {
    std::map<const void*, std::shared_ptr<grpc::ClientContext>> streams;
    {
      std::lock_guard lock(mutex_);
      ended_ = true;
      streams = streams_;
    }
    for (const auto& [stream, context] : streams) context->TryCancel();  // outside: calls back
  }

 private:
  mutable std::mutex mutex_;
  std::map<const void*, std::shared_ptr<grpc::ClientContext>> streams_;  // guarded by mutex_
  bool ended_ = false;                                                   // guarded by mutex_
};

}  // namespace floe::gateway
