#include "services/gateway/http/gateway_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include "absl/strings/str_cat.h"

#include "base/view.h"

namespace floe::gateway {

GatewayMetrics::GatewayMetrics(runtime::Metrics& metrics)
    : requests_([&metrics](const std::string& route_and_code) -> prometheus::Counter& {
        const size_t space = route_and_code.rfind(' ');
        return metrics.Counter("floe_gateway_requests_total", "Answered HTTP requests.",
                               {{"route", route_and_code.substr(0, space)},
                                {"code", route_and_code.substr(space + 1)}});
      }),
      request_seconds_([&metrics](const std::string& route) -> prometheus::Histogram& {
        return metrics.Histogram("floe_gateway_e2e_request_latency_seconds",
                                 "From a request's arrival to the end of its answer.",
                                 runtime::Metrics::LatencyBounds(), {{"route", route}});
      }),
      stage_seconds_([&metrics](const std::string& stage) -> prometheus::Histogram& {
        return metrics.Histogram("floe_gateway_stage_seconds", "Time in each stage's Enter.",
                                 runtime::Metrics::LatencyBounds(), {{"stage", stage}});
      }),
      in_flight_(metrics.Gauge("floe_gateway_num_requests_running", "Requests being answered.")),
      connections_(metrics.Gauge("floe_gateway_http_connections", "Open HTTP connections.")),
      refused_connections_(metrics.Counter("floe_gateway_http_connections_refused_total",
                                           "Connections closed because there were too many.")),
      prompt_tokens_(
          metrics.Counter("floe_gateway_prompt_tokens_total", "Tokens of answered prompts.")),
      generation_tokens_(
          metrics.Counter("floe_gateway_generation_tokens_total", "Tokens of finished answers.")),
      time_to_first_token_(metrics.Histogram("floe_gateway_time_to_first_token_seconds",
                                             "From a request's arrival to its first token.",
                                             runtime::Metrics::LatencyBounds())) {}

void GatewayMetrics::ObserveRequest(std::string_view route, int code, absl::Duration took) {
  requests_.For(absl::StrCat(AbslView(route), " ", code)).Increment();
  request_seconds_.For(route).Observe(absl::ToDoubleSeconds(took));
}

void GatewayMetrics::ObserveStages(const Request& request) {
  absl::Duration so_far;
  for (const StageTime& time : request.times) {
    stage_seconds_.For(time.stage).Observe(absl::ToDoubleSeconds(time.took));
    so_far += time.took;
    // The stage ends when the first piece is there.
    if (time.stage == "generate" && request.pieces > 0) {
      time_to_first_token_.Observe(absl::ToDoubleSeconds(so_far));
    }
  }
  if (!request.finish) return;
  prompt_tokens_.Increment(static_cast<double>(request.finish->prompt_tokens));
  generation_tokens_.Increment(static_cast<double>(request.finish->completion_tokens));
}

void GatewayMetrics::AddInFlight(int change) { in_flight_.Increment(change); }
void GatewayMetrics::AddConnections(int change) { connections_.Increment(change); }
void GatewayMetrics::CountRefusedConnection() { refused_connections_.Increment(); }

}  // namespace floe::gateway
