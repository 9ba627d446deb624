// A line that shows how far a transfer of bytes has come.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include "absl/time/time.h"

namespace floe::cli {

// Redraws one line on a terminal, ten times a second at most; otherwise silent until the end.
class TransferMeter {
 public:
  TransferMeter(std::ostream& err, bool terminal, std::string what, int64_t total)
      : err_(err), terminal_(terminal), what_(std::move(what)), total_(total) {}

  void Add(int64_t bytes, absl::Time now);
  // Ends the line.
  void Finish();
  int64_t done() const { return done_; }

 private:
  std::ostream& err_;
  const bool terminal_;
  const std::string what_;
  const int64_t total_;
  int64_t done_ = 0;
  absl::Time shown_ = absl::InfinitePast();
};

}  // namespace floe::cli
