// How a job looks while it runs: on a terminal a progress line under the curve of its losses, both
// redrawn; plain lines otherwise.
#pragma once

#include <iosfwd>
#include <string>

#include "absl/time/time.h"
#include "cli/output/loss_curve.h"

#include "floe/jobs/v1/jobs.pb.h"

namespace floe::cli {

std::string_view JobStateName(jobs::v1::Job::State state);  // "queued", "running", …
bool HasEnded(jobs::v1::Job::State state);

// [#######-----]  58%  step 700/1,200  loss 4.213  held-out 4.402  12.3k tok/s  85 GFLOP/s  2 min
// left
std::string ProgressLine(const jobs::v1::Progress& progress, int bar_width);

// Not thread-safe.
class JobView {
 public:
  // `plain_interval`: without a terminal, at most one progress line in this time, and one for every
  // twentieth part of the work.
  JobView(std::ostream& out, bool terminal, int width, absl::Duration plain_interval)
      : out_(out), terminal_(terminal), width_(width), plain_interval_(plain_interval) {}

  // What was measured before the first event that is shown.
  void Remember(const jobs::v1::JobMetrics& metrics) {
    losses_.Add(metrics.step(), metrics.metrics());
  }
  void Show(const jobs::v1::JobEvent& event, absl::Time now);
  // A line beside the events: `lost the fleet, trying again`.
  void Say(const std::string& line);
  // Leaves the last progress standing.
  void Finish();

 private:
  void ShowProgress(const jobs::v1::Progress& progress, absl::Time now);
  void Erase();
  void Draw();

  std::ostream& out_;
  const bool terminal_;
  const int width_;
  const absl::Duration plain_interval_;
  LossHistory losses_;
  std::string drawn_;   // on a terminal: the progress line that stands now
  int rows_above_ = 0;  // of the curve that stands above it
  absl::Time curve_drawn_ = absl::InfinitePast();
  std::string unprinted_;  // otherwise: the newest one that was left out
  absl::Time printed_ = absl::InfinitePast();
  double printed_share_ = -1;
};

}  // namespace floe::cli
