// Any bytes as a policy: refused with a line, or limits that can be, and rules that do to a text
// that arrives in pieces (the policy itself) what they do to the whole.
#include <string>

#include "gateway/guardrails/rules.h"
#include "gateway/policy/policy.h"
#include "tests/support/fuzzing.h"

namespace {

using namespace floe::gateway;
using floe::test::Require;

void CheckRules(const guardrails::RuleSet& rules, std::string_view text) {
  const guardrails::Verdict verdict = Apply(rules, text);
  guardrails::StreamGuard guard(rules);
  std::string released;
  for (size_t at = 0; at < text.size();) {
    const std::string_view piece = text.substr(at, 1 + static_cast<uint8_t>(text[at]) % 64);
    released += guard.Push(piece);
    at += piece.size();
  }
  released += guard.Finish();
  Require(released == verdict.text && guard.blocked() == verdict.blocked);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = floe::test::AsText(data, size);
  const auto policy = policy::Policy::Parse(text);
  if (!policy.ok()) {
    Require(!policy.status().message().empty());
    return 0;
  }
  for (const char* team : {"nlp", "other"}) {
    const policy::TeamPolicy& own = (*policy)->For(team);
    Require(own.limits.requests_per_minute >= 0 && own.limits.tokens_per_minute >= 0);
    Require(own.limits.concurrent >= 0 && own.max_output_tokens >= 0);
    Require(own.max_workflow_steps >= 0 && own.retrieval.top_k >= 1);
    CheckRules(own.input, text.substr(0, 1000));
    CheckRules(own.output, text.substr(0, 1000));
  }
  return 0;
}
