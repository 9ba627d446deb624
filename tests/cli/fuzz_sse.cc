// Any bytes as a stream of events: the same events however they arrive, and nothing that the stream
// did not hold.
#include <string>
#include <vector>

#include "cli/http/sse.h"

#include "tests/support/fuzzing.h"

using floe::test::Require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body = floe::test::AsText(data, size);
  floe::cli::SseReader whole, pieces;
  const std::vector<std::string> events = whole.Take(body);
  std::vector<std::string> gathered;
  for (size_t at = 0; at < body.size();) {
    const std::string_view piece = body.substr(at, 1 + static_cast<uint8_t>(body[at]) % 8);
    for (std::string& event : pieces.Take(piece)) gathered.push_back(std::move(event));
    at += piece.size();
  }
  Require(gathered == events);
  size_t bytes = 0;
  for (const std::string& event : events) {
    Require(event.find('\r') == std::string::npos);
    bytes += event.size() + 6;  // "data:" and the line's end
  }
  Require(bytes <= size);
  return 0;
}
