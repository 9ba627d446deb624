// Any bytes as a request body: a value within its limits, or an error that is itself valid JSON.
#include <cstdint>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "gateway/openai/error.h"
#include "gateway/openai/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace floe::gateway;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  for (const auto& ask : {openai::ParseChat(body), openai::ParseCompletion(body)}) {
    if (!ask.ok()) {
      const openai::ErrorAnswer answer = openai::ToErrorAnswer(ask.status(), "request");
      if (answer.http_status != 400 || !nlohmann::json::accept(answer.body)) std::abort();
      continue;
    }
    const Sampling& sampling = ask->sampling;
    if (ask->model.empty() || ask->stop.size() > openai::kMaxStops) std::abort();
    if (ask->max_tokens.value_or(1) < 1) std::abort();
    if (!(sampling.temperature >= 0 && sampling.temperature <= 2)) std::abort();
    if (!(sampling.top_p > 0 && sampling.top_p <= 1)) std::abort();
    if (!(sampling.min_p >= 0 && sampling.min_p <= 1) || sampling.top_k < 0) std::abort();
  }
  return 0;
}
