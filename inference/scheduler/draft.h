// Guesses of what comes next in a sequence, to be checked several at once: where reading the
// weights takes the time, a step of a few tokens costs hardly more than one of a single token.
//
// A guess never changes an answer: it is accepted exactly when it is the id that is chosen at its
// place anyway.
#pragma once

#include <cstdint>
#include <span>

namespace floe::inference {

struct SpeculationLimits {
  int64_t max_draft = 0;  // guesses for one sequence in one step; 0: none are made
  // Tokens of a step with guesses, over all its parts: where there are more already, nobody waits
  // for guesses.
  int64_t max_step_tokens = 8;
};

// Prompt lookup: what followed when the last ids stood in the sequence before, at most `most` of
// them, from the latest place where the longest run of them stood; a part of `tokens`. Empty where
// not even two of them did. (Yang et al. 2023, "Inference with Reference", arXiv:2304.04487.)
std::span<const int32_t> LookUpDraft(std::span<const int32_t> tokens, int64_t most);

// How many guesses are worth making for one sequence, by what became of the last ones: more as long
// as all are right, and none for a while, the longer the more often, when none was. A value.
class DraftPace {
 public:
  // To be asked once a step.
  int64_t Next(int64_t most);
  // Of `drafted` guesses, at least one, the first `accepted` were right.
  void Note(int64_t drafted, int64_t accepted);

 private:
  int64_t length_ = 3;
  int64_t pause_ = 0;  // steps without a guess that are left
  int64_t next_pause_ = 1;
};

}  // namespace floe::inference
