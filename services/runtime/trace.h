// W3C Trace Context (w3.org/TR/trace-context): the `traceparent` header.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace floe::runtime {

struct TraceParent {
  std::string trace_id;  // 32 lower-case hexadecimal characters, not all zero
  std::string span_id;   // 16, not all zero
  bool sampled = true;

  std::string ToHeader() const;  // 00-<trace_id>-<span_id>-01
};

// Nothing when the header breaks a rule of the format; unknown versions are read as version 00.
std::optional<TraceParent> ParseTraceParent(std::string_view header);

// A new trace, and a new span of an existing trace.
TraceParent NewTrace();
TraceParent NewSpan(const TraceParent& parent);

}  // namespace floe::runtime
