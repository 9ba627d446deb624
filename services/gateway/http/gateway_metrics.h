// The gateway's numbers, by the names that the field knows, with our prefix; and the one of
// OpenTelemetry's GenAI conventions that only a worker's client knows: the tokens that are billed.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "gateway/request.h"
#include "services/runtime/labelled.h"
#include "services/runtime/metrics.h"

namespace floe::gateway {

// Thread-safe. Borrows `metrics`.
class GatewayMetrics {
 public:
  explicit GatewayMetrics(runtime::Metrics& metrics);

  // One finished exchange; `code` is the HTTP status, 499 for a client that left.
  void ObserveRequest(std::string_view route, int code, absl::Duration took);
  // What the stages of a request took, its tokens, and those of them that are billed.
  void ObserveStages(const Request& request);

  void AddInFlight(int change);
  void AddConnections(int change);
  void CountRefusedConnection();
  void CountFailedAccept();

 private:
  void ObserveBilledTokens(const Request& request);

  runtime::Labelled<prometheus::Counter> requests_;  // by "route code"
  runtime::Labelled<prometheus::Histogram> request_seconds_;
  runtime::Labelled<prometheus::Histogram> stage_seconds_;
  runtime::Labelled<prometheus::Histogram> token_usage_;  // by "type operation model digest"
  prometheus::Gauge& in_flight_;
  prometheus::Gauge& connections_;
  prometheus::Counter& refused_connections_;
  prometheus::Counter& failed_accepts_;
  prometheus::Counter& prompt_tokens_;
  prometheus::Counter& generation_tokens_;
  prometheus::Histogram& time_to_first_token_;
};

}  // namespace floe::gateway
