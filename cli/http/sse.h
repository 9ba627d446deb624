// Server-sent events (html.spec.whatwg.org, 9.2), as far as an OpenAI-compatible answer needs them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace floe::cli {

// Takes the body as it arrives, gives the `data` of each complete event. Not thread-safe.
class SseReader {
 public:
  std::vector<std::string> Take(std::string_view bytes);

 private:
  void TakeLine(std::string_view line, std::vector<std::string>& events);

  std::string line_;
  std::string data_;
  bool has_data_ = false;
  bool after_return_ = false;
};

}  // namespace floe::cli
