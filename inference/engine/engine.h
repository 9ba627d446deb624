// A frozen model as a function: tokens in, next-token logits out.
//
// The engine keeps the keys and values of the sequences that it is given and nothing else. What it
// computes for a sequence is a function of that sequence's tokens alone: not of the batch, of how
// the prompt was cut into chunks, of the number of threads.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "model/blueprint.h"

namespace floe::inference {

using SequenceId = int64_t;

// One sequence's part of a step.
struct SequenceStep {
  SequenceId sequence = 0;
  std::span<const int32_t> tokens;  // appended: a chunk of the prompt, or one token of decoding
  bool all_logits = false;          // logits after every appended token instead of the last only
  bool hidden_states = false;       // no logits, but the hidden state of every appended token
};

// Logits of a step: the rows of its parts, one after the other. Reused from step to step. The parts
// that ask for hidden states have their rows in `hidden` instead.
struct Logits {
  std::vector<float> values;  // [rows][stride]
  int64_t vocab = 0;
  int64_t stride = 0;
  std::vector<float> hidden;  // [rows][hidden_size]: after the final norm
  int64_t hidden_size = 0;

  std::span<const float> Row(int64_t row) const {
    return {values.data() + row * stride, static_cast<size_t>(vocab)};
  }
  std::span<const float> HiddenRow(int64_t row) const {
    return {hidden.data() + row * hidden_size, static_cast<size_t>(hidden_size)};
  }
};

struct KvUsage {
  int64_t total_blocks = 0;
  int64_t free_blocks = 0;  // that no sequence holds
  int64_t block_tokens = 0;
  int64_t cached_blocks = 0;  // of the free ones: those that a sequence may still begin with
};

// What one sequence holds of the pool.
struct KvHolding {
  int64_t blocks = 0;
  int64_t shared_blocks = 0;  // of them: held by others too, so that closing it frees them not
};

// Used by one thread at a time.
class Engine {
 public:
  virtual ~Engine() = default;

  virtual const model::Blueprint& blueprint() const = 0;

  // A new, empty sequence. It holds no block until tokens are reserved. Sequences of one salt may
  // share the keys and values of the tokens that they begin with; without a salt it is on its own.
  virtual SequenceId Open(std::string_view salt) = 0;
  SequenceId Open() { return Open({}); }
  // Frees the sequence and its blocks. The sequence must be open.
  virtual void Close(SequenceId sequence) = 0;
  // Lets an empty sequence begin with as many of `tokens` as are cached under its salt: whole
  // blocks, whose logits are not computed again. How many tokens it holds then.
  virtual int64_t Adopt(SequenceId sequence, std::span<const int32_t> tokens) = 0;
  // Caches the whole blocks of a sequence that begins with `tokens`, for others of its salt. They
  // stay after Close until their room is needed, the least recently used going first.
  virtual void Share(SequenceId sequence, std::span<const int32_t> tokens) = 0;
  // Forgets the tokens behind the first `length`; what was shared stays.
  virtual void Truncate(SequenceId sequence, int64_t length) = 0;
  // Makes room for `tokens` more than the sequence holds. RESOURCE_EXHAUSTED when the pool has too
  // few blocks: nothing has changed then, and other sequences go on.
  virtual absl::Status Reserve(SequenceId sequence, int64_t tokens) = 0;
  // Tokens whose keys and values the sequence holds.
  virtual int64_t Length(SequenceId sequence) const = 0;
  virtual KvUsage kv() const = 0;
  virtual KvHolding Holding(SequenceId sequence) const = 0;
  // Most tokens in one step, over all its parts.
  virtual int64_t max_step_tokens() const = 0;

  // Appends to each sequence and computes. INVALID_ARGUMENT (a token outside the vocabulary, too
  // many tokens, a sequence twice), OUT_OF_RANGE (past the context) or RESOURCE_EXHAUSTED (no
  // blocks): no sequence has changed then.
  virtual absl::Status Step(std::span<const SequenceStep> steps, Logits* logits) = 0;
};

}  // namespace floe::inference
