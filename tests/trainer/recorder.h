// Remembers what training tells.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "trainer/ports.h"

namespace floe::trainer {

class Recorder final : public TrainingObserver {
 public:
  void OnProgress(const TrainProgress& progress) override {
    reports.push_back(progress);
    if (on_progress) on_progress(progress);
  }
  void OnLine(LineLevel level, std::string_view text) override {
    (level == LineLevel::kSample ? samples : lines).emplace_back(text);
  }

  std::vector<TrainProgress> reports;
  std::vector<std::string> lines;
  std::vector<std::string> samples;
  std::function<void(const TrainProgress&)> on_progress;
};

}  // namespace floe::trainer
