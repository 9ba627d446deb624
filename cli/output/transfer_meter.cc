#include "cli/output/transfer_meter.h"

#include <ostream>

#include "absl/strings/str_format.h"
#include "cli/output/human.h"

namespace floe::cli {

void TransferMeter::Add(int64_t bytes, absl::Time now) {
  done_ += bytes;
  if (!terminal_ || now - shown_ < absl::Milliseconds(100)) return;
  shown_ = now;
  const double share = total_ > 0 ? 100.0 * static_cast<double>(done_) / total_ : 100.0;
  err_ << absl::StrFormat("\r\x1b[K%s  %3.0f%%  %s of %s", what_, share, HumanBytes(done_),
                          HumanBytes(total_))
       << std::flush;
}

void TransferMeter::Finish() {
  if (terminal_) err_ << "\r\x1b[K" << std::flush;
}

}  // namespace floe::cli
