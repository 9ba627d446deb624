// The OpenAI-compatible API: routes to the stages, and their outcome to answers.
//
// The routes stand in routes.h, their description in openapi.json. Each request under /v1 leaves
// one audit record (gateway/audit/record.h) in the log, however it ends.
#pragma once

#include <string_view>

#include <boost/asio/thread_pool.hpp>

#include "base/clock.h"
#include "base/id.h"
#include "gateway/stages.h"
#include "services/gateway/http/exchange.h"
#include "services/gateway/http/gateway_metrics.h"
#include "services/gateway/http/routes.h"
#include "services/runtime/logging.h"

namespace floe::gateway {

class EventSink;

// Thread-safe. Borrows its parts.
class Api final : public HttpHandler {
 public:
  struct Parts {
    const Ports& ports;
    const Clock& clock;
    IdGenerator& ids;
    const runtime::Logger& logger;
    GatewayMetrics& metrics;
    boost::asio::thread_pool& pool;  // parses large bodies
    absl::Duration request_timeout;
  };
  explicit Api(const Parts& parts);

  Awaitable<void> Handle(HttpRequest request, HttpReply& reply) override;
  std::pair<HttpHead, std::string> Refuse(const absl::Status& why) override;

 private:
  class Record;

  Request Arrive(const HttpRequest& http, std::string_view route) const;
  Awaitable<void> Generate(HttpRequest http, HttpReply& reply, const Route& route);
  Awaitable<void> Embed(HttpRequest http, HttpReply& reply, const Route& route);
  // What the body asks, and how long its client will wait; an error is told to nobody but who has a
  // key.
  Awaitable<absl::Status> Read(HttpRequest http, const Route& route, Request& request);
  Awaitable<absl::StatusOr<Ask>> Parse(std::string body, const Route& route) const;
  Awaitable<void> ListModels(const HttpRequest& http, HttpReply& reply, const Route& route);
  Awaitable<void> GetModel(const HttpRequest& http, HttpReply& reply, const Route& route);
  Awaitable<void> SendText(const HttpRequest& http, HttpReply& reply, const Route& route,
                           std::string_view type, std::string_view text);
  Awaitable<absl::Status> SendError(const Request& request, HttpReply& reply,
                                    const absl::Status& status, Record& record,
                                    std::string_view allowed = "");

  const Parts parts_;
  const Pipeline generating_;
  const Pipeline embedding_;
  const Pipeline looking_;
};

}  // namespace floe::gateway
