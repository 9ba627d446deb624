// retrieve: passages of the team's documents in front of the question, when the request or the
// policy asks for them.
#pragma once

#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "base/clock.h"
#include "gateway/stage.h"

namespace floe::gateway {

// Thread-safe. Borrows its parts.
class RetrieveStage final : public Stage {
 public:
  struct Parts {
    Retriever& retriever;
    PromptEncoder& prompts;
    const Clock& clock;
    boost::asio::any_io_executor background;  // for many passages; none: inline
  };
  explicit RetrieveStage(const Parts& parts) : parts_(parts) {}

  std::string_view name() const override { return "retrieve"; }
  // Asks with the user's last words, as they are after masking. The policy's input rules hold for
  // passages too: one that a rule blocks is left out, since whoever wrote a document must not be
  // able to refuse everybody's questions. Of the rest as many are given, best first, as leave room
  // for the answer. NOT_FOUND (COLLECTION_NOT_FOUND), INVALID_ARGUMENT for a prompt of ids,
  // without a user's words, or one of several, UNAVAILABLE (RETRIEVAL_UNAVAILABLE): an answer that
  // was to rest on documents is not given without them. A policy's default does not ask for prompts
  // of ids, without a user's words, or for several at once.
  Awaitable<absl::Status> Enter(Request& request) override;

 private:
  Awaitable<absl::Status> Insert(Request& request, std::string question,
                                 std::vector<Passage> passages);

  const Parts parts_;
};

// The text that passages are looked up for and put in front of: the prompt, or a conversation's
// last message when the user wrote it. Null when there is none, or more than one. Pure.
std::string* QuestionOf(std::vector<Prompt>& prompts);

// Applies rules to passages; drops those that are blocked, records all findings. Pure.
std::vector<Passage> GuardPassages(const guardrails::RuleSet& rules, std::vector<Passage> passages,
                                   std::vector<GuardFinding>& findings);

}  // namespace floe::gateway
