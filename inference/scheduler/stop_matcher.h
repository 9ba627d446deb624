// Finds stop texts in a stream of pieces, and lets nothing of one leave.
//
// The stream ends at the first character that completes any stop text (of several completed there,
// the longest), so the outcome does not depend on how the text was cut into pieces. What could
// still become the beginning of a stop text is held back.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace floe::inference {

// Not thread-safe; one a stream.
class StopMatcher {
 public:
  // Empty stop texts are ignored.
  explicit StopMatcher(std::vector<std::string> stops);

  // The text that may leave now. After a match it ends right before the stop text, and later pieces
  // give nothing.
  std::string Push(std::string_view piece);
  // What was held back; to be called at an end that is not a match.
  std::string Flush();
  bool matched() const { return matched_; }

 private:
  // Length of the longest suffix of held_ that begins a stop text.
  size_t OpenSuffix() const;

  std::vector<std::string> stops_;
  std::string held_;
  bool matched_ = false;
};

}  // namespace floe::inference
