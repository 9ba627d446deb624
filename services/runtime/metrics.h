// The numbers of one process, in Prometheus' text format.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "services/runtime/labelled.h"

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
class Registry;
}  // namespace prometheus

namespace floe::runtime {

// Thread-safe. Metrics live as long as this object, but for gauges that are removed; asking again
// for the same name and labels gives the same one. Names: floe_<service>_<noun>_<unit>. No user ids
// as labels.
class Metrics {
 public:
  using Labels = std::map<std::string, std::string>;

  Metrics();
  ~Metrics();

  prometheus::Counter& Counter(const std::string& name, const std::string& help,
                               const Labels& labels = {});
  prometheus::Gauge& Gauge(const std::string& name, const std::string& help,
                           const Labels& labels = {});
  // Of something that is gone: it is told no more, and references to it end. Nothing when there is
  // none.
  void RemoveGauge(const std::string& name, const Labels& labels);
  prometheus::Histogram& Histogram(const std::string& name, const std::string& help,
                                   const std::vector<double>& bounds, const Labels& labels = {});

  // One finished RPC: floe_rpc_calls_total{method,code}, floe_rpc_seconds{method}.
  void ObserveCall(std::string_view method, absl::StatusCode code, absl::Duration took);

  std::string Exposition() const;

  // 1 ms to 60 s: for anything that a person waits for.
  static std::vector<double> LatencyBounds();

 private:
  std::shared_ptr<prometheus::Registry> registry_;  // shared with nobody; the library wants it so
  Labelled<prometheus::Counter> calls_;             // by "method code"
  Labelled<prometheus::Histogram> call_seconds_;    // by method
};

}  // namespace floe::runtime
