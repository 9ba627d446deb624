#include "services/gateway/http/gateway_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "base/view.h"
#include "gateway/settlement.h"

namespace floe::gateway {
namespace {

// OpenTelemetry's, for gen_ai.client.token.usage: the powers of 4.
std::vector<double> TokenBounds() {
  std::vector<double> bounds;
  for (double bound = 1; bound <= 67108864; bound *= 4) bounds.push_back(bound);
  return bounds;
}

// By the price book's name of it.
std::string_view GenAiOperation(std::string_view operation) {
  if (operation == "embedding") return "embeddings";
  return operation == "completion" ? "text_completion" : operation;
}

}  // namespace

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
      token_usage_([&metrics](const std::string& key) -> prometheus::Histogram& {
        const std::vector<std::string> parts = absl::StrSplit(key, ' ');
        return metrics.Histogram("gen_ai_client_token_usage",
                                 "Tokens of a request that are billed.", TokenBounds(),
                                 {{"gen_ai_token_type", parts[0]},
                                  {"gen_ai_operation_name", parts[1]},
                                  {"gen_ai_provider_name", "floe"},
                                  {"gen_ai_request_model", parts[2]},
                                  {"gen_ai_response_model", parts[3]}});
      }),
      in_flight_(metrics.Gauge("floe_gateway_num_requests_running", "Requests being answered.")),
      connections_(metrics.Gauge("floe_gateway_http_connections", "Open HTTP connections.")),
      refused_connections_(metrics.Counter("floe_gateway_http_connections_refused_total",
                                           "Connections closed because there were too many.")),
      failed_accepts_(metrics.Counter("floe_gateway_http_accepts_failed_total",
                                      "Times that no connection could be accepted, as for want of "
                                      "file descriptors.")),
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
  ObserveBilledTokens(request);
  if (!request.finish) return;
  prompt_tokens_.Increment(static_cast<double>(request.finish->prompt_tokens));
  generation_tokens_.Increment(static_cast<double>(request.finish->completion_tokens));
}

void GatewayMetrics::ObserveBilledTokens(const Request& request) {
  if (!request.settled) return;
  const UsageQuantities billed = ChargedQuantities(request);
  if (billed.calls == 0) return;
  const auto observe = [&](std::string_view type, int64_t tokens) {
    // The digest as workers shorten it.
    token_usage_
        .For(absl::StrCat(AbslView(type), " ", AbslView(GenAiOperation(request.priced.operation)),
                          " ", request.priced.model, " ", request.model.digest.substr(0, 12)))
        .Observe(static_cast<double>(tokens));
  };
  observe("input", billed.input_tokens + billed.cached_input_tokens);
  if (request.vectors.empty())
    observe("output", billed.output_tokens + billed.cached_output_tokens);
}

void GatewayMetrics::AddInFlight(int change) { in_flight_.Increment(change); }
void GatewayMetrics::AddConnections(int change) { connections_.Increment(change); }
void GatewayMetrics::CountRefusedConnection() { refused_connections_.Increment(); }
void GatewayMetrics::CountFailedAccept() { failed_accepts_.Increment(); }

}  // namespace floe::gateway
