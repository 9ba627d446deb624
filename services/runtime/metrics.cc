#include "services/runtime/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "absl/strings/str_cat.h"

#include "base/view.h"
#include "services/runtime/status.h"

namespace floe::runtime {

Metrics::Metrics()
    : registry_(std::make_shared<prometheus::Registry>()),
      calls_([this](const std::string& method_and_code) -> prometheus::Counter& {
        const size_t space = method_and_code.rfind(' ');
        return Counter("floe_rpc_calls_total", "Finished RPCs.",
                       {{"method", method_and_code.substr(0, space)},
                        {"code", method_and_code.substr(space + 1)}});
      }),
      call_seconds_([this](const std::string& method) -> prometheus::Histogram& {
        return Histogram("floe_rpc_seconds", "Seconds from the arrival of an RPC to its end.",
                         LatencyBounds(), {{"method", method}});
      }) {}
Metrics::~Metrics() = default;

prometheus::Counter& Metrics::Counter(const std::string& name, const std::string& help,
                                      const Labels& labels) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(*registry_).Add(labels);
}

prometheus::Gauge& Metrics::Gauge(const std::string& name, const std::string& help,
                                  const Labels& labels) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(*registry_).Add(labels);
}

void Metrics::RemoveGauge(const std::string& name, const Labels& labels) {
  prometheus::Family<prometheus::Gauge>& family =
      prometheus::BuildGauge().Name(name).Register(*registry_);
  family.Remove(&family.Add(labels));
}

prometheus::Histogram& Metrics::Histogram(const std::string& name, const std::string& help,
                                          const std::vector<double>& bounds, const Labels& labels) {
  return prometheus::BuildHistogram()
      .Name(name)
      .Help(help)
      .Register(*registry_)
      .Add(labels, bounds);
}

std::vector<double> Metrics::LatencyBounds() {
  return {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};
}

void Metrics::ObserveCall(std::string_view method, absl::StatusCode code, absl::Duration took) {
  calls_.For(absl::StrCat(AbslView(method), " ", AbslView(CodeName(code)))).Increment();
  call_seconds_.For(method).Observe(absl::ToDoubleSeconds(took));
}

std::string Metrics::Exposition() const {
  return prometheus::TextSerializer().Serialize(registry_->Collect());
}

}  // namespace floe::runtime
