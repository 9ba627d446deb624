#include "services/runtime/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace floe::runtime {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Metrics, TheSameNameAndLabelsAreTheSameMetric) {
  Metrics metrics;
  metrics.Counter("floe_test_things_total", "Things.", {{"kind", "a"}}).Increment();
  metrics.Counter("floe_test_things_total", "Things.", {{"kind", "a"}}).Increment();
  metrics.Counter("floe_test_things_total", "Things.", {{"kind", "b"}}).Increment();
  metrics.Gauge("floe_test_level_bytes", "Level.").Set(7);
  const std::string text = metrics.Exposition();
  EXPECT_THAT(text, HasSubstr(R"(floe_test_things_total{kind="a"} 2)"));
  EXPECT_THAT(text, HasSubstr(R"(floe_test_things_total{kind="b"} 1)"));
  EXPECT_THAT(text, HasSubstr("floe_test_level_bytes 7"));
  EXPECT_THAT(text, HasSubstr("# HELP floe_test_things_total Things."));
  EXPECT_THAT(text, HasSubstr("# TYPE floe_test_things_total counter"));
}

TEST(Metrics, ARemovedGaugeIsToldNoMoreAndItsNeighboursStay) {
  Metrics metrics;
  for (const char* thing : {"a", "b"}) {
    metrics.Gauge("floe_test_level_bytes", "Level.", {{"thing", thing}}).Set(7);
  }
  metrics.RemoveGauge("floe_test_level_bytes", {{"thing", "a"}});
  metrics.RemoveGauge("floe_test_level_bytes", {{"thing", "never there"}});
  const std::string text = metrics.Exposition();
  EXPECT_THAT(text, HasSubstr("floe_test_level_bytes{thing=\"b\"} 7"));
  EXPECT_THAT(text, testing::Not(HasSubstr("{thing=\"a\"}")));
  EXPECT_THAT(text, testing::Not(HasSubstr("never there")));
  metrics.Gauge("floe_test_level_bytes", "Level.", {{"thing", "a"}}).Set(8);
  EXPECT_THAT(metrics.Exposition(), HasSubstr("floe_test_level_bytes{thing=\"a\"} 8"));
}

TEST(Metrics, ACallIsCountedByItsCodeAndTimed) {
  Metrics metrics;
  metrics.ObserveCall("registry.GetModel", absl::StatusCode::kOk, absl::Milliseconds(3));
  metrics.ObserveCall("registry.GetModel", absl::StatusCode::kNotFound, absl::Seconds(2));
  const std::string text = metrics.Exposition();
  EXPECT_THAT(text,
              HasSubstr(R"(floe_rpc_calls_total{code="NOT_FOUND",method="registry.GetModel"} 1)"));
  EXPECT_THAT(text,
              HasSubstr(R"(floe_rpc_seconds_bucket{method="registry.GetModel",le="0.005"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(floe_rpc_seconds_count{method="registry.GetModel"} 2)"));
}

}  // namespace
}  // namespace floe::runtime
