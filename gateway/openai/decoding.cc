#include "gateway/openai/decoding.h"

#include <algorithm>
#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>

#include "base/view.h"

namespace floe::gateway::openai {
namespace {

using nlohmann::json;

constexpr size_t kMaxWordBytes = 64;
constexpr double kMaxPenalty = 2;
constexpr double kMaxBias = 100;
// The worker's limits; 0 tells it that there is no such penalty.
constexpr double kLeastRepetitionPenalty = 0.01;
constexpr double kMaxRepetitionPenalty = 100;

// The smallest nucleus: the likeliest token alone, which is what `top_p: 0` asks for. (0 itself
// tells the worker to keep all.)
constexpr float kSmallestTopP = 1e-6f;

void ReadPenalties(FieldReader& fields, Sampling& sampling) {
  const auto presence = fields.Number("presence_penalty", -kMaxPenalty, kMaxPenalty);
  const auto frequency = fields.Number("frequency_penalty", -kMaxPenalty, kMaxPenalty);
  const auto repetition =
      fields.Number("repetition_penalty", kLeastRepetitionPenalty, kMaxRepetitionPenalty);
  if (presence) sampling.presence_penalty = static_cast<float>(*presence);
  if (frequency) sampling.frequency_penalty = static_cast<float>(*frequency);
  if (repetition) sampling.repetition_penalty = static_cast<float>(*repetition);
}

void ReadLogitBias(FieldReader& fields, Sampling& sampling) {
  const json* biases = fields.Take("logit_bias");
  if (biases == nullptr) return;
  if (!biases->is_object() || biases->size() > kMaxLogitBiases) {
    fields.Fail("logit_bias", "INVALID_VALUE",
                absl::StrCat("must be an object of at most ", kMaxLogitBiases,
                             " numbers by token id: {\"50256\": -100}"));
    return;
  }
  for (const auto& [name, value] : biases->items()) {
    uint32_t id = 0;
    const bool fits = absl::SimpleAtoi(name, &id) && value.is_number() &&
                      std::abs(value.get<double>()) <= kMaxBias;
    if (!fits) {
      fields.Fail("logit_bias", "INVALID_VALUE",
                  "has an entry that does not fit: names are token ids, values numbers from -100 "
                  "to 100");
      return;
    }
    sampling.logit_bias[id] = value.get<float>();
  }
}

}  // namespace

void ReadSampling(FieldReader& fields, Sampling& sampling) {
  const auto temperature = fields.Number("temperature", 0, 2);
  const auto top_p = fields.Number("top_p", 0, 1);
  const auto min_p = fields.Number("min_p", 0, 1);
  const auto top_k = fields.Integer("top_k", -1, std::numeric_limits<int32_t>::max());
  const auto seed = fields.Integer("seed", std::numeric_limits<int64_t>::min(),
                                   std::numeric_limits<int64_t>::max());
  if (temperature) sampling.temperature = static_cast<float>(*temperature);
  if (top_p) sampling.top_p = std::max(static_cast<float>(*top_p), kSmallestTopP);
  if (min_p) sampling.min_p = static_cast<float>(*min_p);
  // -1 is how other servers write "all".
  if (top_k) sampling.top_k = static_cast<int32_t>(std::max<int64_t>(*top_k, 0));
  if (seed) sampling.seed = static_cast<uint64_t>(*seed);
  ReadPenalties(fields, sampling);
  ReadLogitBias(fields, sampling);
}

void ReadLogProbs(FieldReader& fields, bool chat, std::optional<LogProbsAsk>& wanted) {
  if (!chat) {
    const auto top = fields.Integer("logprobs", 0, kMaxTopLogProbs);
    if (top) wanted = LogProbsAsk{.top = static_cast<int32_t>(*top)};
    return;
  }
  const bool asked = fields.Bool("logprobs").value_or(false);
  const auto top = fields.Integer("top_logprobs", 0, kMaxTopLogProbs);
  if (asked) wanted = LogProbsAsk{.top = static_cast<int32_t>(top.value_or(0))};
  if (top.value_or(0) > 0 && !asked) {
    fields.Fail("top_logprobs", "INVALID_VALUE", "needs logprobs: true");
  }
}

void ReadLogProbsOf(FieldReader& floe, std::optional<LogProbsAsk>& wanted) {
  const auto of = floe.String("logprobs", kMaxWordBytes);
  if (!of) return;
  if (*of != "model" && *of != "sampled") {
    floe.Fail("logprobs", "INVALID_VALUE",
              "is not known; write model (the model's own distribution) or sampled (the one that "
              "tokens are drawn from)");
  }
  if (wanted) wanted->sampled = *of == "sampled";
}

void ReadChoices(FieldReader& fields, bool chat, Ask& ask) {
  ask.choices = static_cast<int32_t>(fields.Integer("n", 1, kMaxChoices).value_or(1));
  ask.best_of = ask.choices;
  if (chat) return;
  const auto best_of = fields.Integer("best_of", 1, kMaxChoices).value_or(ask.choices);
  if (best_of < ask.choices) {
    fields.Fail("best_of", "INVALID_VALUE",
                absl::StrCat("is ", best_of, ", less than n; write at least ", ask.choices));
  }
  if (best_of > ask.choices && ask.stream) {
    fields.Fail("best_of", "INVALID_VALUE",
                "cannot be streamed: answers are ranked when they are whole; leave out stream");
  }
  ask.best_of = static_cast<int32_t>(best_of);
  if (ask.answers_made() > kMaxAnswers) {
    fields.Fail("prompt", "INVALID_VALUE",
                absl::StrCat("has ", ask.prompts.size(), " prompts, of ", best_of,
                             " answers each: ", ask.answers_made(), "; send prompts for at most ",
                             kMaxAnswers, " answers at once"));
  }
}

void ReadMaxCost(FieldReader& fields, Ask& ask) {
  const auto amount = fields.String("max_cost", kMaxWordBytes);
  if (!amount) return;
  if (!IsDollarAmount(*amount)) {
    fields.Fail("max_cost", "INVALID_VALUE",
                "must be US dollars as text, with at most 12 decimals: \"0.0025\"");
  }
  ask.max_cost = *amount;
}

void ReadEcho(FieldReader& fields, Ask& ask) {
  ask.echo = fields.Bool("echo").value_or(false);
  if (ask.max_tokens == 0 && !ask.tells_prompt()) {
    fields.Fail(
        "max_tokens", "INVALID_VALUE",
        "is 0, which asks only how likely the prompt is: send echo and logprobs with it, or "
        "write at least 1");
  }
  if (ask.max_tokens == 0 && ask.best_of > 1) {
    fields.Fail("max_tokens", "INVALID_VALUE",
                "is 0, so that several answers would be the same; leave out n and best_of");
  }
  if (ask.echo && ask.response_format.kind != ResponseFormat::Kind::kText) {
    fields.Fail("echo", "INVALID_VALUE",
                "stands beside structured_outputs, whose form the prompt would break; send one of "
                "the two");
  }
}

}  // namespace floe::gateway::openai
