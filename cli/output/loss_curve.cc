#include "cli/output/loss_curve.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/output/human.h"

namespace floe::cli {
namespace {

constexpr int kScaleWidth = 8;  // ` 4.2131|`

// A Braille cell has 2 x 4 dots; the bits of U+2800 by [row][column].
constexpr int kDots[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};

std::string BrailleUtf8(int bits) {
  const int code = 0x2800 + bits;
  return {static_cast<char>(0xE0 | (code >> 12)), static_cast<char>(0x80 | ((code >> 6) & 0x3F)),
          static_cast<char>(0x80 | (code & 0x3F))};
}

bool IsDrawn(const std::pair<double, double>& point) {
  return std::isfinite(point.first) && std::isfinite(point.second);
}

struct Range {
  double least = std::numeric_limits<double>::infinity();
  double most = -std::numeric_limits<double>::infinity();
  void Take(double value) {
    least = std::min(least, value);
    most = std::max(most, value);
  }
  // 0 to 1; the middle when there is only one value.
  double Share(double value) const { return most > least ? (value - least) / (most - least) : 0.5; }
};

// Dots of `columns` x `rows` cells, and the marks that stand in front of them.
class Canvas {
 public:
  Canvas(int columns, int rows)
      : columns_(columns),
        rows_(rows),
        dots_(static_cast<size_t>(columns * rows)),
        marks_(dots_.size()) {}

  // From (0, 0) at the bottom left to (1, 1) at the top right.
  void Dot(double x, double y, const std::string& mark) {
    const int column = static_cast<int>(std::lround(x * (2 * columns_ - 1)));
    const int row = static_cast<int>(std::lround((1 - y) * (4 * rows_ - 1)));
    const auto cell = static_cast<size_t>(row / 4 * columns_ + column / 2);
    if (mark.empty()) {
      dots_[cell] |= kDots[row % 4][column % 2];
    } else {
      marks_[cell] = mark;
    }
  }
  // Every dot between two points.
  void Line(std::pair<double, double> from, std::pair<double, double> to) {
    const double dots = std::max({std::abs(to.first - from.first) * (2 * columns_ - 1),
                                  std::abs(to.second - from.second) * (4 * rows_ - 1), 1.0});
    const int count = static_cast<int>(std::ceil(dots));
    for (int i = 0; i <= count; ++i) {
      const double share = static_cast<double>(i) / count;
      Dot(from.first + share * (to.first - from.first),
          from.second + share * (to.second - from.second), {});
    }
  }
  std::string Row(int row) const {
    std::string text;
    size_t shown = 0;  // up to the last cell with something in it
    for (int column = 0; column < columns_; ++column) {
      const auto cell = static_cast<size_t>(row * columns_ + column);
      if (!marks_[cell].empty()) {
        text += marks_[cell];
      } else {
        text += dots_[cell] == 0 ? " " : BrailleUtf8(dots_[cell]);
      }
      if (!marks_[cell].empty() || dots_[cell] != 0) shown = text.size();
    }
    return text.substr(0, shown);
  }

 private:
  const int columns_;
  const int rows_;
  std::vector<int> dots_;
  std::vector<std::string> marks_;
};

}  // namespace

void LossHistory::Add(int64_t step, const google::protobuf::Map<std::string, double>& metrics) {
  const auto loss = metrics.find("loss");
  if (step <= 0 || loss == metrics.end()) return;
  const auto forget = [](Points& points, double from) {
    while (!points.empty() && points.back().first >= from) points.pop_back();
  };
  const double at = static_cast<double>(step);
  forget(training_, at);
  training_.emplace_back(at, loss->second);
  const auto held_out = metrics.find("held_out_loss");
  const auto measured = metrics.find("held_out_step");
  if (held_out == metrics.end() || measured == metrics.end()) return;
  // Repeated with every report until the next one is measured; what lies ahead is of a step that is
  // done again.
  forget(held_out_, std::min(measured->second, at));
  held_out_.emplace_back(measured->second, held_out->second);
}

std::vector<std::string> DrawCurves(const std::vector<Curve>& curves, int width, int height) {
  Range x, y;
  int drawn = 0;
  for (const Curve& curve : curves) {
    for (const auto& point : curve.points) {
      if (!IsDrawn(point)) continue;
      x.Take(point.first);
      y.Take(point.second);
      ++drawn;
    }
  }
  const int columns = width - kScaleWidth;
  if (drawn < 2 || columns < 8 || height < 2) return {};
  Canvas canvas(columns, height);
  std::string legend;
  for (const Curve& curve : curves) {
    const std::pair<double, double>* before = nullptr;
    std::pair<double, double> last;
    for (const auto& point : curve.points) {
      if (!IsDrawn(point)) continue;
      const std::pair<double, double> now = {x.Share(point.first), y.Share(point.second)};
      canvas.Dot(now.first, now.second, curve.mark);
      if (curve.mark.empty() && before != nullptr) canvas.Line(*before, now);
      last = now;
      before = &last;
    }
    if (before == nullptr) continue;
    absl::StrAppend(&legend, "  ",
                    curve.mark.empty() ? BrailleUtf8(0x12) + BrailleUtf8(0x24) : curve.mark, " ",
                    curve.label);
  }
  std::vector<std::string> lines;
  for (int row = 0; row < height; ++row) {
    const double value = y.most - (y.most - y.least) * row / (height - 1);
    const bool edge = (row == 0 || row == height - 1) && y.most > y.least;
    const bool labelled = edge || row == height / 2;
    lines.push_back(absl::StrCat(
        labelled ? absl::StrFormat("%7.3f", value).substr(0, 7) : std::string(kScaleWidth - 1, ' '),
        "|", canvas.Row(row)));
  }
  const std::string left = HumanCount(static_cast<int64_t>(x.least));
  const std::string right = HumanCount(static_cast<int64_t>(x.most));
  const int gap = std::max(1, columns - static_cast<int>(left.size() + right.size()));
  lines.push_back(absl::StrCat(std::string(kScaleWidth, ' '), left,
                               std::string(static_cast<size_t>(gap), ' '), right));
  lines.push_back(absl::StrCat(std::string(kScaleWidth - 2, ' '), legend));
  return lines;
}

}  // namespace floe::cli
