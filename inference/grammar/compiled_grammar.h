// A grammar for one vocabulary: which ids may follow, kept state by state, and the constraint that
// a request carries.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"

#include "inference/grammar/automaton.h"
#include "inference/grammar/grammar.h"
#include "inference/grammar/token_trie.h"
#include "inference/sampling/token_constraint.h"

namespace floe::inference::grammar {

// One bit an id; see TokenConstraint::Allowed. Shared by the cache and those who look at it.
using TokenMask = std::shared_ptr<const std::vector<uint64_t>>;

// Thread-safe. What it keeps is bounded: kMaskBytes of masks, least recently used ones leave, and
// what Automaton keeps, some ten MiB at most.
class CompiledGrammar : public std::enable_shared_from_this<CompiledGrammar> {
 public:
  static constexpr size_t kMaskBytes = 4 << 20;

  // INVALID_ARGUMENT when even the first id takes more work than is allowed. `tokens` is shared by
  // all grammars of a vocabulary.
  static absl::StatusOr<std::shared_ptr<CompiledGrammar>> Create(
      Grammar grammar, std::shared_ptr<const TokenTrie> tokens);

  // For one text, at its beginning. Keeps this object alive.
  std::unique_ptr<TokenConstraint> NewConstraint();

 private:
  class Constraint;
  struct KeptMask {
    Automaton::State state;
    TokenMask mask;
  };

  CompiledGrammar(Grammar grammar, std::shared_ptr<const TokenTrie> tokens);

  // A mask in the making.
  struct Walk {
    std::vector<Automaton::State> path;  // by depth: before the trie's next node
    size_t next = 0;                     // node of the trie
    std::shared_ptr<std::vector<uint64_t>> mask;
    bool any = false;   // some id is allowed
    int64_t work = 0;   // done so far
    uint32_t held = 0;  // of path, while the walk rests
  };

  // All with mutex_ held. A state that is held is not forgotten; `state` is told its new number.
  void Hold(Automaton::State* state) { held_.insert(state); }
  void Release(Automaton::State* state) { held_.erase(state); }
  void BeginWork();
  // The mask that is kept, or null.
  TokenMask KeptMaskOf(Automaton::State state);
  Walk BeginWalk(Automaton::State state) const;
  // Goes on for about `work`; nothing as long as the walk is not at its end, where the mask is
  // kept.
  std::optional<absl::StatusOr<TokenMask>> Go(Walk& walk, int64_t work);
  // A walk that rests holds its states; before it goes on, or away, it lets go of them.
  void LetGo(Walk& walk);
  static void Allow(Walk& walk, int32_t id);
  absl::StatusOr<TokenMask> EndWalk(Walk& walk);
  absl::Status Accept(Automaton::State& state, int32_t id);

  const Grammar grammar_;
  const std::shared_ptr<const TokenTrie> tokens_;
  std::mutex mutex_;
  // Guarded by mutex_.
  Automaton automaton_;
  Automaton::State start_ = Automaton::kDead;
  absl::flat_hash_set<Automaton::State*> held_;
  std::list<KeptMask> masks_;  // most recently used first
  absl::flat_hash_map<Automaton::State, std::list<KeptMask>::iterator> mask_of_;
};

}  // namespace floe::inference::grammar
