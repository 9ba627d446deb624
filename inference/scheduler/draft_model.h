// A small model of the same tokenizer that guesses what a large one will say.
//
// It draws its guesses with the parameters, the seed and the positions of the request itself: the
// same random number at the same place, so that where both models think alike they also say alike,
// at any temperature. What it keeps of a request (keys and values in an engine of its own) changes
// how many guesses are right, and never an answer.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "inference/engine/engine.h"
#include "inference/sampling/sampler.h"

namespace floe::inference {

// Used by one thread, the scheduler's.
class DraftModel {
 public:
  // What one request wants; what it points at is borrowed for the call.
  struct Ask {
    int64_t request = 0;
    std::span<const int32_t> tokens;  // prompt and answer so far, at least one
    const SamplingParams* sampling = nullptr;
    int64_t most = 0;  // guesses
    std::vector<int32_t> guesses;
  };

  explicit DraftModel(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}

  // Fills in `guesses`. They stay empty where the model must first read more of the sequence than
  // one step takes (it goes on at the next call), where it has no block left, and past its context.
  void Guess(std::span<Ask> asks);
  // Gives back what is kept of a request, if anything is.
  void Forget(int64_t request);

  KvUsage kv() const { return engine_->kv(); }

 private:
  struct Read {
    SequenceId sequence = 0;
    std::vector<int32_t> tokens;  // whose keys and values the engine holds
  };
  // One step for all that have not got what they wanted; false when there is nothing to do.
  bool StepOnce(std::span<Ask> asks, std::vector<bool>& done);
  // Aligns, and reserves blocks for the tokens and all guesses; else forgets the request.
  bool MakeRoom(const Ask& ask);
  // The engine holds a beginning of the request's tokens and nothing else, and not all of them.
  Read& Align(const Ask& ask);

  const std::unique_ptr<Engine> engine_;
  std::unordered_map<int64_t, Read> reads_;  // by request
  Logits logits_;
  Sampler sampler_;
};

}  // namespace floe::inference
