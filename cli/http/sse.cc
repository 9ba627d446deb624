#include "cli/http/sse.h"

namespace floe::cli {

std::vector<std::string> SseReader::Take(std::string_view bytes) {
  std::vector<std::string> events;
  for (const char c : bytes) {
    const bool second_half = after_return_ && c == '\n';
    after_return_ = c == '\r';
    if (second_half) continue;
    if (c != '\r' && c != '\n') {
      line_ += c;
      continue;
    }
    TakeLine(line_, events);
    line_.clear();
  }
  return events;
}

void SseReader::TakeLine(std::string_view line, std::vector<std::string>& events) {
  if (line.empty()) {
    if (has_data_) events.push_back(data_);
    data_.clear();
    has_data_ = false;
    return;
  }
  if (!line.starts_with("data:")) return;  // comments, ids and event names say nothing to us
  line.remove_prefix(5);
  if (line.starts_with(" ")) line.remove_prefix(1);
  if (has_data_) data_ += '\n';
  data_ += line;
  has_data_ = true;
}

}  // namespace floe::cli
