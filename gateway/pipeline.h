// Runs a request through a list of stages.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"

#include "base/clock.h"
#include "gateway/stage.h"

namespace floe::gateway {

// Immutable and thread-safe. Borrows `clock`.
class Pipeline {
 public:
  Pipeline(std::vector<std::unique_ptr<Stage>> stages, const Clock& clock)
      : stages_(std::move(stages)), clock_(clock) {}

  // Enters the stages in order until one refuses, and leaves those entered in reverse order before
  // it returns; also when the coroutine is cancelled (CANCELLED) or destroyed. Never throws.
  Awaitable<absl::Status> Run(Request& request) const;

  const std::vector<std::unique_ptr<Stage>>& stages() const { return stages_; }

 private:
  Awaitable<absl::Status> EnterAll(Request& request) const;

  const std::vector<std::unique_ptr<Stage>> stages_;
  const Clock& clock_;
};

}  // namespace floe::gateway
