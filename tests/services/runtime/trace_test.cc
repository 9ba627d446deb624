#include "services/runtime/trace.h"

#include <set>

#include "gtest/gtest.h"

namespace floe::runtime {
namespace {

// The example of w3.org/TR/trace-context.
constexpr char kHeader[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(TraceParent, IsReadAndWritten) {
  const auto parent = ParseTraceParent(kHeader);
  ASSERT_TRUE(parent.has_value());
  EXPECT_EQ(parent->trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(parent->span_id, "00f067aa0ba902b7");
  EXPECT_TRUE(parent->sampled);
  EXPECT_EQ(parent->ToHeader(), kHeader);
}

TEST(TraceParent, TheSampledFlagIsTheLowestBit) {
  std::string header = kHeader;
  for (const auto& [flags, sampled] :
       {std::pair{"00", false}, {"02", false}, {"03", true}, {"0a", false}, {"ff", true}}) {
    header.replace(53, 2, flags);
    EXPECT_EQ(ParseTraceParent(header)->sampled, sampled) << flags;
  }
}

TEST(TraceParent, HeadersThatBreakARuleAreNone) {
  for (const char* header : {"", "00", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                             "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                             "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                             "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                             "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
                             "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
                             "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
                             "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}) {
    EXPECT_FALSE(ParseTraceParent(header).has_value()) << header;
  }
}

TEST(TraceParent, ALaterVersionMayAppendMore) {
  const std::string rest = "-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  EXPECT_TRUE(ParseTraceParent("01" + rest + "-more").has_value());
  EXPECT_FALSE(ParseTraceParent("01" + rest + "more").has_value());
}

TEST(TraceParent, NewOnesAreValidAndDiffer) {
  std::set<std::string> traces;
  for (int i = 0; i < 100; ++i) {
    const TraceParent trace = NewTrace();
    EXPECT_TRUE(ParseTraceParent(trace.ToHeader()).has_value()) << trace.ToHeader();
    traces.insert(trace.trace_id);
    const TraceParent span = NewSpan(trace);
    EXPECT_EQ(span.trace_id, trace.trace_id);
    EXPECT_NE(span.span_id, trace.span_id);
  }
  EXPECT_EQ(traces.size(), 100u);
}

}  // namespace
}  // namespace floe::runtime
