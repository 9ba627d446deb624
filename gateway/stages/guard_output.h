// guard_output: the policy's rules over the answer as it passes, and its JSON schema.
#pragma once

#include "gateway/stage.h"

namespace floe::gateway {

// Thread-safe. Puts a stream around each answer's, and makes request.stream of several:
//
// - Nothing that a rule blocks or masks leaves, not even in part (guardrails/rules.h). A block ends
//   the answer with content_filter and cancels the worker; usage is what had been generated.
// - An answer that must be JSON is held back until it is whole. One that breaks its schema is
//   FAILED_PRECONDITION (ANSWER_BREAKS_SCHEMA, told as HTTP 422), and nothing of it leaves.
// - Log-probabilities leave only where no rule has changed the text; while one may, at the end.
// - Counts the ids that arrive, and keeps the whole answer where the cache or the audit wants it.
class GuardOutputStage final : public Stage {
 public:
  std::string_view name() const override { return "guard_output"; }
  Awaitable<absl::Status> Enter(Request& request) override;
};

}  // namespace floe::gateway
