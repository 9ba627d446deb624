// guard_input: the policy's rules over the prompt, before anything else sees it.
#pragma once

#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "gateway/stage.h"

namespace floe::gateway {

// Thread-safe. Borrows `prompts`. Long prompts are looked through on `background`, when there is
// one.
class GuardInputStage final : public Stage {
 public:
  GuardInputStage(PromptEncoder& prompts, boost::asio::any_io_executor background)
      : prompts_(prompts), background_(std::move(background)) {}

  std::string_view name() const override { return "guard_input"; }
  // Masks the prompts, records what was found, and keeps what is to be
  // echoed. INVALID_ARGUMENT (CONTENT_BLOCKED) names the rule, never the text.
  Awaitable<absl::Status> Enter(Request& request) override;

 private:
  Awaitable<absl::Status> GuardAll(Request& request);
  Awaitable<absl::Status> Guard(Request& request, size_t index);

  PromptEncoder& prompts_;
  const boost::asio::any_io_executor background_;
};

// What the rules make of a prompt: pure. Each message of a conversation is a text of its own; what
// is no conversation is called `param`.
struct GuardedPrompt {
  Prompt prompt;
  std::vector<guardrails::Finding> findings;
  std::string blocked_by;  // the rule; empty: it may pass
  std::string param;       // where that is: `messages[2].content`
};
GuardedPrompt GuardPrompt(const guardrails::RuleSet& rules, Prompt prompt, const std::string& tools,
                          const std::string& param = "prompt");

}  // namespace floe::gateway
