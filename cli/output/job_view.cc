#include "cli/output/job_view.h"

#include <algorithm>
#include <cmath>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/output/human.h"

namespace floe::cli {
namespace {

namespace pb = jobs::v1;

constexpr double kPlainShare = 0.05;
constexpr int kCurveRows = 10;
constexpr int kLeastCurveWidth = 60;
// What a job has measured in the past comes in one burst.
constexpr absl::Duration kCurveInterval = absl::Milliseconds(200);

double Share(const pb::Progress& progress) {
  if (progress.steps() <= 0) return 0;
  return std::clamp(static_cast<double>(progress.step()) / static_cast<double>(progress.steps()),
                    0.0, 1.0);
}

std::string Bar(double share, int width) {
  const int filled = static_cast<int>(std::floor(share * width));
  return absl::StrCat("[", std::string(static_cast<size_t>(filled), '#'),
                      std::string(static_cast<size_t>(width - filled), '-'), "]");
}

// The measurements that people look for first, then whatever else a kind of job has.
std::string Metrics(const pb::Progress& progress) {
  std::string text;
  const auto& metrics = progress.metrics();
  const auto add = [&](const char* key, const char* label, auto format) {
    const auto found = metrics.find(key);
    if (found != metrics.end()) absl::StrAppend(&text, "  ", label, format(found->second));
  };
  const auto loss = [](double value) { return absl::StrFormat("%.3f", value); };
  add("loss", "loss ", loss);
  add("held_out_loss", "held-out ", loss);
  add("tokens", "", [](double v) { return HumanQuantity(v) + " tokens"; });
  add("tokens_per_second", "", [](double v) { return HumanQuantity(v) + " tok/s"; });
  add("gflops", "", [](double v) { return absl::StrFormat("%.1f GFLOP/s", v); });
  add("gemm_peak_share", "",
      [](double v) { return absl::StrFormat("%.0f%% of GEMM peak", 100 * v); });
  add("peak_memory_bytes", "peak ", [](double v) { return HumanBytes(static_cast<int64_t>(v)); });
  for (const auto& [key, value] : std::map<std::string, double>(metrics.begin(), metrics.end())) {
    if (key == "loss" || key == "held_out_loss" || key == "tokens_per_second" || key == "gflops" ||
        key == "learning_rate" || key == "held_out_step" || key == "tokens" ||
        key == "peak_memory_bytes" || key == "gemm_peak_share") {
      continue;
    }
    absl::StrAppend(&text, "  ", absl::StrReplaceAll(key, {{"_", " "}}), " ",
                    std::abs(value) < 1000 ? absl::StrFormat("%.4g", value) : HumanQuantity(value));
  }
  return text;
}

}  // namespace

std::string_view JobStateName(pb::Job::State state) {
  switch (state) {
    case pb::Job::QUEUED:
      return "queued";
    case pb::Job::RUNNING:
      return "running";
    case pb::Job::SUCCEEDED:
      return "succeeded";
    case pb::Job::FAILED:
      return "failed";
    case pb::Job::CANCELLED:
      return "cancelled";
    case pb::Job::CANCELLING:
      return "cancelling";
    case pb::Job::PAUSING:
      return "pausing";
    case pb::Job::PAUSED:
      return "paused";
    default:
      return "unknown";
  }
}

bool HasEnded(pb::Job::State state) {
  return state == pb::Job::SUCCEEDED || state == pb::Job::FAILED || state == pb::Job::CANCELLED;
}

std::string ProgressLine(const pb::Progress& progress, int bar_width) {
  const double share = Share(progress);
  std::string line = absl::StrFormat("%s %3.0f%%  step %s/%s", Bar(share, bar_width), 100 * share,
                                     HumanCount(progress.step()), HumanCount(progress.steps()));
  absl::StrAppend(&line, Metrics(progress));
  if (progress.has_remaining() && progress.step() < progress.steps()) {
    const absl::Duration left = absl::Seconds(progress.remaining().seconds());
    absl::StrAppend(&line, "  ", HumanDuration(std::max(left, absl::Seconds(1))), " left");
  }
  return line;
}

void JobView::Erase() {
  if (rows_above_ > 0) out_ << "\x1b[" << rows_above_ << "A\r\x1b[J";
  out_ << "\r\x1b[K";
  rows_above_ = 0;
}

void JobView::Draw() {
  if (width_ >= kLeastCurveWidth) {
    for (const std::string& line :
         DrawCurves({{"loss", "", losses_.training()}, {"held-out loss", "o", losses_.held_out()}},
                    std::min(width_, 100) - 1, kCurveRows)) {
      out_ << line << "\n";
      ++rows_above_;
    }
  }
  out_ << drawn_ << std::flush;
}

void JobView::ShowProgress(const pb::Progress& progress, absl::Time now) {
  losses_.Add(progress.step(), progress.metrics());
  if (terminal_) {
    drawn_ = ProgressLine(progress, 24);
    if (static_cast<int>(drawn_.size()) >= width_) drawn_ = ProgressLine(progress, 8);
    if (width_ > 1) drawn_ = drawn_.substr(0, static_cast<size_t>(width_) - 1);
    if (now - curve_drawn_ < kCurveInterval && progress.step() < progress.steps()) {
      out_ << "\r\x1b[K" << drawn_ << std::flush;  // the curve above stays as it is
      return;
    }
    curve_drawn_ = now;
    Erase();
    Draw();
    return;
  }
  const double share = Share(progress);
  const bool due = now - printed_ >= plain_interval_ || share - printed_share_ >= kPlainShare ||
                   progress.step() == progress.steps();
  unprinted_ = ProgressLine(progress, 20);
  if (!due) return;
  out_ << unprinted_ << std::endl;
  unprinted_.clear();
  printed_ = now;
  printed_share_ = share;
}

void JobView::Say(const std::string& line) {
  if (terminal_) {
    Erase();
    out_ << line << "\n";
    Draw();
  } else {
    out_ << line << std::endl;
  }
}

void JobView::Show(const pb::JobEvent& event, absl::Time now) {
  switch (event.event_case()) {
    case pb::JobEvent::kProgress:
      ShowProgress(event.progress(), now);
      break;
    case pb::JobEvent::kLog: {
      const std::string& level = event.log().level();
      // A sample is text of its own: indented, so that its lines are not taken for the job's.
      if (level == "sample") {
        Say(absl::StrCat("  | ", absl::StrReplaceAll(event.log().text(), {{"\n", "\n  | "}})));
      } else {
        Say(absl::StrCat(level == "info" ? "" : absl::StrCat(level, ": "), event.log().text()));
      }
      break;
    }
    case pb::JobEvent::kState:
      Say(absl::StrCat(
          "job ", std::string(JobStateName(event.state())),
          event.attempt() > 1 ? absl::StrCat(" (attempt ", event.attempt(), ")") : ""));
      break;
    default:
      break;
  }
}

void JobView::Finish() {
  if (terminal_ && !drawn_.empty()) out_ << "\n" << std::flush;
  if (!terminal_ && !unprinted_.empty()) out_ << unprinted_ << std::endl;
  drawn_.clear();
  unprinted_.clear();
}

}  // namespace floe::cli
