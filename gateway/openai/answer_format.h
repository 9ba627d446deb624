// Answers in OpenAI's shapes: whole objects, stream chunks, model lists. Pure: JSON text out.
//
// Every final object carries `floe`: the checkpoint's digest and version, the tier that was asked
// for and the one whose latency target was met, the seed that was used, the policy's digest,
// whether the cache had it, the passages that it rests on (`retrieval`, null when none were asked
// for, and `citations`), what rules found, what it cost and under which usage id that is
// recorded, the trace id, and timings in milliseconds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"

#include "gateway/ask.h"
#include "gateway/generation.h"

namespace floe::gateway::openai {

// What an answer says about itself.
struct AnswerFacts {
  std::string request_id;
  bool chat = true;
  bool include_usage = false;
  bool logprobs = false;  // they were asked for
  absl::Time created;
  std::string model;    // as the client wrote it
  std::string digest;   // of the checkpoint
  std::string version;  // its resource name
  ServiceTier tier = ServiceTier::kDefault;
  uint64_t seed = 0;
  std::string trace_id;
  std::string policy;    // digest of the policy file that held
  std::string cache;     // hit, miss or off
  std::string usage_id;  // under which its usage is recorded
};

// What a rule found, by rule: never the text.
struct GuardrailNote {
  std::string rule;
  std::string action;     // flag, mask or block
  std::string direction;  // input, retrieved or output
  int64_t count = 0;
  bool operator==(const GuardrailNote&) const = default;
};

// A passage that the answer rests on: bytes of a document.
struct CitationNote {
  std::string document;
  int64_t begin = 0;
  int64_t end = 0;
  double score = 0;
};

// What the answer cost: decimal US dollars.
struct AnswerCost {
  struct Line {
    std::string kind;  // as CostLine has it
    int64_t quantity = 0;
    std::string unit_price;
    std::string amount;
  };
  std::string amount;  // empty: this gateway charges nothing
  std::string price_book;
  std::vector<Line> lines;
};

// What is known only when the answer ends.
struct AnswerOutcome {
  std::vector<StageTime> times;
  std::vector<GuardrailNote> guardrails;
  std::string collection;  // that was asked; empty: none
  std::string retrieval_usage_id;
  std::vector<CitationNote> citations;
  AnswerCost cost;
  int64_t cached_tokens = 0;  // of the prompt, priced as cached
};

// One of the answers to a request, or a part of it.
struct AnswerText {
  std::string text;
  std::vector<TokenLogProbs> logprobs;
  std::vector<ToolCall> calls;
  FinishReason reason = FinishReason::kStop;  // of a whole one
};

// One a request. Not thread-safe.
class AnswerFormat {
 public:
  explicit AnswerFormat(AnswerFacts facts) : facts_(std::move(facts)) {}

  // All answers, in order, as one object.
  std::string Whole(const std::vector<AnswerText>& answers, const Finish& finish,
                    const AnswerOutcome& outcome) const;

  // The chunks of a stream. Of each answer, by its index: Opening (chats only; else empty), Delta
  // for each text and Calls for calls of tools, and Ending with the reason; of the one that ends
  // last Closing instead, and Usage behind it when it was asked for.
  std::string Opening(int32_t choice) const;
  std::string Delta(int32_t choice, const AnswerText& part);
  std::string Calls(int32_t choice, const std::vector<ToolCall>& calls);
  std::string Ending(int32_t choice, FinishReason reason) const;
  std::string Closing(int32_t choice, FinishReason reason, const Finish& finish,
                      const AnswerOutcome& outcome) const;
  std::string Usage(const Finish& finish, const AnswerOutcome& outcome) const;

 private:
  struct Chunks {
    std::string head;         // up to the text of a delta; made by the first
    std::string tail;         // from there on
    int64_t text_offset = 0;  // where the next token's text begins, in characters
    int64_t calls = 0;        // that were told
  };

  const AnswerFacts facts_;
  std::vector<Chunks> chunks_;  // by answer
};

// Vectors in the order of the inputs, as lists of numbers or as base64 of little-endian floats.
std::string EmbeddingsObject(const AnswerFacts& facts,
                             const std::vector<std::vector<float>>& vectors, bool base64,
                             const Finish& finish, const AnswerOutcome& outcome);

struct ModelEntry {
  std::string id;
  std::string owner;
  absl::Time created;
};
std::string ModelObject(const ModelEntry& model);
std::string ModelList(const std::vector<ModelEntry>& models);

// The value of the Server-Timing header: `identify;dur=0.1, policy;dur=1.2`, milliseconds.
std::string ServerTiming(const std::vector<StageTime>& times);

}  // namespace floe::gateway::openai
