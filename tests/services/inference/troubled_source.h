// Weights that do not come as they should.
#pragma once

#include <functional>
#include <optional>

#include "inference/ports.h"

namespace floe::inference {

// Hands on to another source, which it borrows, and does before and after what it is told. Keeps
// nothing.
class TroubledSource final : public WeightSource {
 public:
  explicit TroubledSource(WeightSource& source) : source_(source) {}
  absl::StatusOr<std::filesystem::path> Fetch(std::string_view digest) override {
    if (before) before();
    auto folder = source_.Fetch(digest);
    if (after) after();
    return folder;
  }
  std::optional<std::filesystem::path> Kept(std::string_view) override { return std::nullopt; }

  std::function<void()> before, after;

 private:
  WeightSource& source_;
};

}  // namespace floe::inference
