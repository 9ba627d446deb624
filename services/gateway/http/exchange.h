// One HTTP exchange without the wire: what was asked, and a way to answer. Handlers know this, and
// not Beast.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"

#include "gateway/ports.h"

namespace floe::gateway {

struct HttpRequest {
  std::string method;
  std::string path;  // without query, percent-decoded
  std::string authorization;
  std::string request_id;
  std::string traceparent;
  std::string content_encoding;
  std::string timeout;  // X-Request-Timeout; empty: none was sent
  std::string body;
};

struct HttpHead {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;  // neither may hold CR or LF
};

// Used by one coroutine. An error, CANCELLED, means that the client is gone or too slow; nothing
// more can be sent. Every wait lasts until the client has taken enough.
class HttpReply {
 public:
  virtual ~HttpReply() = default;
  // A whole answer.
  virtual Awaitable<absl::Status> Send(HttpHead head, std::string body) = 0;
  // Or one in pieces. `data` that comes with the head or the end travels in one packet with it.
  virtual Awaitable<absl::Status> BeginStream(HttpHead head, std::string data) = 0;
  virtual Awaitable<absl::Status> SendPiece(std::string data) = 0;
  virtual Awaitable<absl::Status> EndStream(std::string data) = 0;
};

// Who answers requests. Thread-safe. Must not throw but for a cancelled coroutine.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  // Sends exactly one answer, unless the client is gone.
  virtual Awaitable<void> Handle(HttpRequest request, HttpReply& reply) = 0;
  // The JSON body and headers for a request that could not be read: its status is in the reason's
  // metadata (gateway/openai/error.h).
  virtual std::pair<HttpHead, std::string> Refuse(const absl::Status& why) = 0;
};

}  // namespace floe::gateway
