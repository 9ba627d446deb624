// Any bytes as a request body of each endpoint: a value within its limits, or an error that is
// itself valid JSON.
#include <nlohmann/json.hpp>

#include "gateway/openai/error.h"
#include "gateway/openai/parse.h"
#include "tests/support/fuzzing.h"

namespace {

using namespace floe::gateway;
using floe::test::Require;

// Whether it is there at all.
bool Holds(const absl::StatusOr<Ask>& ask) {
  if (ask.ok()) {
    Require(!ask->model.empty() && !ask->prompts.empty());
    return true;
  }
  const openai::ErrorAnswer answer = openai::ToErrorAnswer(ask.status(), "request");
  Require(answer.http_status == 400 && nlohmann::json::accept(answer.body));
  return false;
}

void CheckGeneration(const absl::StatusOr<Ask>& ask) {
  if (!Holds(ask)) return;
  const Sampling& sampling = ask->sampling;
  Require(!ask->embedding && ask->prompts.size() <= openai::kMaxPrompts);
  Require(ask->stop.size() <= openai::kMaxStops);
  // Nothing to say is an answer where the prompt is told.
  Require(ask->max_tokens.value_or(1) >= (ask->tells_prompt() ? 0 : 1));
  Require(ask->choices >= 1 && ask->best_of >= ask->choices);
  Require(sampling.temperature >= 0 && sampling.temperature <= 2);
  Require(sampling.top_p > 0 && sampling.top_p <= 1);
  Require(sampling.min_p >= 0 && sampling.min_p <= 1 && sampling.top_k >= 0);
}

void CheckEmbedding(const absl::StatusOr<Ask>& ask) {
  if (!Holds(ask)) return;
  Require(ask->embedding && ask->embedding->dimensions >= 0 && !ask->is_chat());
  Require(ask->prompts.size() <= openai::kMaxInputs);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body = floe::test::AsText(data, size);
  CheckGeneration(openai::ParseChat(body));
  CheckGeneration(openai::ParseCompletion(body));
  CheckEmbedding(openai::ParseEmbedding(body));
  return 0;
}
