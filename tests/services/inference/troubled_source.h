// Weights that do not come as they should.
#pragma once

#include <functional>
#include <optional>

#include "inference/ports.h"

namespace floe::inference {

// Hands on to another source, which it borrows, until it is told what to do before. Keeps nothing.
class TroubledSource final : public WeightSource {
 public:
  explicit TroubledSource(WeightSource& source) : source_(source) {}
  absl::StatusOr<std::filesystem::path> Fetch(std::string_view digest) override {
    if (before) before();
    return source_.Fetch(digest);
  }
  std::optional<std::filesystem::path> Kept(std::string_view) override { return std::nullopt; }
  absl::Status Verify(std::string_view digest) override { return source_.Verify(digest); }

  std::function<void()> before;

 private:
  WeightSource& source_;
};

}  // namespace floe::inference
