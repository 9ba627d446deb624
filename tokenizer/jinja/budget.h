// How much work one rendering may do. Templates come with models and messages with requests: a
// loop over range(10**9) or a string that doubles must end as an error, not as an outage.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace floe::tokenizer::jinja {

inline constexpr int kMaxNesting = 200;     // statements and expressions inside one another
inline constexpr int kMaxValueDepth = 32;   // lists and mappings inside one another
inline constexpr int64_t kBytesAUnit = 16;  // copied or looked at for one unit of work

inline absl::Status TooDeep() {
  return absl::ResourceExhaustedError(
      absl::StrCat("more than ", kMaxNesting, " levels; a macro calls itself without end"));
}

// One unit for each evaluated part of the template, for each element copied into a list and for
// each 16 bytes of text, so memory is bounded with time. Not thread-safe.
class Budget {
 public:
  explicit Budget(int64_t work) : work_(work), left_(work) {}

  absl::Status Spend(int64_t units) {
    if (units <= left_) {
      left_ -= units;
      return absl::OkStatus();
    }
    left_ = 0;
    return absl::ResourceExhaustedError(
        absl::StrCat("the chat template does more than ", work_,
                     " units of work on these messages; it loops too long or makes too much text"));
  }
  absl::Status SpendBytes(size_t bytes) {
    return Spend(1 + static_cast<int64_t>(bytes) / kBytesAUnit);
  }

 private:
  int64_t work_;
  int64_t left_;
};

}  // namespace floe::tokenizer::jinja
