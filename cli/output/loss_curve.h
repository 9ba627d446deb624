// Curves of a training job: what was measured by step, and how it looks in a terminal. Pure.
#pragma once

#include <google/protobuf/map.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace floe::cli {

using Points = std::vector<std::pair<double, double>>;  // (x, y), x ascending

// The losses of one job by step.
class LossHistory {
 public:
  // What was measured at a step. A step that is done again replaces itself and all behind it.
  void Add(int64_t step, const google::protobuf::Map<std::string, double>& metrics);

  const Points& training() const { return training_; }
  // At the steps where it was measured.
  const Points& held_out() const { return held_out_; }

 private:
  Points training_;
  Points held_out_;
};

struct Curve {
  std::string label;
  // One character that stands for the curve; empty: a fine line of Braille dots. Curves of a later
  // place stand in front.
  std::string mark;
  Points points;
};

// `height` lines of at most `width` columns, with the scale of y at the left, then the scale of x
// and what each curve is. Values that are no finite numbers are left out; without two finite points
// in all, nothing is drawn.
std::vector<std::string> DrawCurves(const std::vector<Curve>& curves, int width, int height);

}  // namespace floe::cli
