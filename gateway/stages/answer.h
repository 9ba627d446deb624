// answer: pieces from the stream to the client, at the client's pace.
#pragma once

#include "gateway/stage.h"

namespace floe::gateway {

// Thread-safe.
class AnswerStage final : public Stage {
 public:
  std::string_view name() const override { return "answer"; }
  Awaitable<absl::Status> Enter(Request& request) override;
};

}  // namespace floe::gateway
