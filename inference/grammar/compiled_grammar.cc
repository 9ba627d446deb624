#include "inference/grammar/compiled_grammar.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"

namespace floe::inference::grammar {
namespace {

// A look at a node of the trie costs less than one at a node of the automaton.
constexpr int64_t kLooksAWork = 16;

absl::Status TooComplex() {
  return absl::InvalidArgumentError(
      "the grammar leaves open too many ways to go on at once; describe the text so that fewer "
      "of its parts can begin alike");
}

}  // namespace

class CompiledGrammar::Constraint final : public TokenConstraint {
 public:
  explicit Constraint(std::shared_ptr<CompiledGrammar> grammar) : grammar_(std::move(grammar)) {
    const std::lock_guard lock(grammar_->mutex_);
    state_ = grammar_->start_;
    grammar_->Hold(&state_);
  }
  ~Constraint() override {
    const std::lock_guard lock(grammar_->mutex_);
    Forget();
    grammar_->Release(&state_);
  }

  bool Prepare(int64_t work) override {
    const std::lock_guard lock(grammar_->mutex_);
    if (next_) return true;
    grammar_->BeginWork();  // may give states another number
    if (!walk_) {
      if (TokenMask kept = grammar_->KeptMaskOf(state_)) {
        next_ = std::move(kept);
        return true;
      }
      walk_ = grammar_->BeginWalk(state_);
    }
    next_ = grammar_->Go(*walk_, work);
    if (next_) walk_.reset();
    return next_.has_value();
  }
  absl::StatusOr<std::span<const uint64_t>> Allowed() override {
    while (!Prepare(Automaton::kMaxWork)) {
    }
    FLOE_RETURN_IF_ERROR(next_->status());
    return std::span<const uint64_t>(***next_);
  }
  absl::Status Accept(int32_t id) override {
    const std::lock_guard lock(grammar_->mutex_);
    Forget();
    return grammar_->Accept(state_, id);
  }
  bool complete() const override {
    const std::lock_guard lock(grammar_->mutex_);
    return grammar_->automaton_.complete(state_);
  }

 private:
  // What was found out about the state. With the mutex held.
  void Forget() {
    if (walk_) grammar_->LetGo(*walk_);
    walk_.reset();
    next_.reset();
  }

  const std::shared_ptr<CompiledGrammar> grammar_;  // shared: keeps it alive
  Automaton::State state_ = Automaton::kDead;       // guarded by the grammar's mutex
  std::optional<Walk> walk_;                        // as well
  std::optional<absl::StatusOr<TokenMask>> next_;
};

CompiledGrammar::CompiledGrammar(Grammar grammar, std::shared_ptr<const TokenTrie> tokens)
    : grammar_(std::move(grammar)), tokens_(std::move(tokens)), automaton_(grammar_) {}

absl::StatusOr<std::shared_ptr<CompiledGrammar>> CompiledGrammar::Create(
    Grammar grammar, std::shared_ptr<const TokenTrie> tokens) {
  std::shared_ptr<CompiledGrammar> compiled(
      new CompiledGrammar(std::move(grammar), std::move(tokens)));
  const std::lock_guard lock(compiled->mutex_);
  compiled->start_ = compiled->automaton_.Start();
  if (compiled->start_ == Automaton::kTooComplex) return TooComplex();
  compiled->Hold(&compiled->start_);
  Walk walk = compiled->BeginWalk(compiled->start_);
  std::optional<absl::StatusOr<TokenMask>> first;
  while (!first) first = compiled->Go(walk, Automaton::kMaxWork);
  FLOE_RETURN_IF_ERROR(first->status());
  return compiled;
}

std::unique_ptr<TokenConstraint> CompiledGrammar::NewConstraint() {
  return std::make_unique<Constraint>(shared_from_this());
}

void CompiledGrammar::BeginWork() {
  automaton_.BeginWork();
  if (!automaton_.crowded()) return;
  std::vector<Automaton::State*> held(held_.begin(), held_.end());
  automaton_.Trim(held);
  masks_.clear();
  mask_of_.clear();
}

TokenMask CompiledGrammar::KeptMaskOf(Automaton::State state) {
  const auto kept = mask_of_.find(state);
  if (kept == mask_of_.end()) return nullptr;
  masks_.splice(masks_.begin(), masks_, kept->second);
  return kept->second->mask;
}

CompiledGrammar::Walk CompiledGrammar::BeginWalk(Automaton::State state) const {
  Walk walk;
  walk.path.resize(tokens_->max_depth() + 1);
  walk.path[0] = state;
  walk.mask = std::make_shared<std::vector<uint64_t>>(tokens_->mask_words());
  return walk;
}

std::optional<absl::StatusOr<TokenMask>> CompiledGrammar::Go(Walk& walk, int64_t work) {
  LetGo(walk);
  automaton_.BeginWork(walk.work);
  const std::vector<TokenTrie::Node>& nodes = tokens_->nodes();
  int64_t looks = 0;
  while (walk.next < nodes.size()) {
    const TokenTrie::Node& node = nodes[walk.next];
    if (automaton_.work() - walk.work + ++looks / kLooksAWork > work && looks > 1) {
      walk.work = automaton_.work();
      walk.held = node.depth;
      for (uint32_t depth = 0; depth < walk.held; ++depth) Hold(&walk.path[depth]);
      return std::nullopt;
    }
    const Automaton::State next = automaton_.Next(walk.path[node.depth - 1], node.byte);
    if (next == Automaton::kTooComplex) return TooComplex();
    if (next == Automaton::kDead) {
      walk.next = node.end;
      continue;
    }
    walk.path[node.depth] = next;
    const uint32_t first = walk.next == 0 ? 0 : nodes[walk.next - 1].token_end;
    for (uint32_t at = first; at < node.token_end; ++at) Allow(walk, tokens_->token(at));
    ++walk.next;
  }
  return EndWalk(walk);
}

void CompiledGrammar::LetGo(Walk& walk) {
  for (uint32_t depth = 0; depth < walk.held; ++depth) Release(&walk.path[depth]);
  walk.held = 0;
}

void CompiledGrammar::Allow(Walk& walk, int32_t id) {
  (*walk.mask)[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
  walk.any = true;
}

absl::StatusOr<TokenMask> CompiledGrammar::EndWalk(Walk& walk) {
  const Automaton::State state = walk.path[0];
  if (automaton_.accepting(state)) {
    for (const int32_t id : tokens_->end_ids()) Allow(walk, id);
  }
  if (!walk.any) {
    return absl::InvalidArgumentError("no token of this model goes on with a text of the grammar");
  }
  // Another request may have come here at the same time.
  if (TokenMask kept = KeptMaskOf(state)) return kept;
  masks_.push_front({state, walk.mask});
  mask_of_[state] = masks_.begin();
  if (masks_.size() * tokens_->mask_words() * sizeof(uint64_t) > kMaskBytes && masks_.size() > 1) {
    mask_of_.erase(masks_.back().state);
    masks_.pop_back();
  }
  return masks_.front().mask;
}

absl::Status CompiledGrammar::Accept(Automaton::State& state, int32_t id) {
  BeginWork();
  const auto refuse = [id] {
    return absl::InvalidArgumentError(
        absl::StrCat("id ", id, " does not go on with a text of the grammar"));
  };
  if (tokens_->IsEnd(id)) {
    if (!automaton_.accepting(state)) return refuse();
    state = Automaton::kDead;
    return absl::OkStatus();
  }
  const std::string& bytes = tokens_->BytesOf(id);
  if (bytes.empty()) return refuse();
  Automaton::State at = state;
  for (const char byte : bytes) {
    at = automaton_.Next(at, static_cast<uint8_t>(byte));
    if (at == Automaton::kTooComplex) return TooComplex();
    if (at == Automaton::kDead) return refuse();
  }
  state = at;
  return absl::OkStatus();
}

}  // namespace floe::inference::grammar
