#include "inference/grammar/compiled_grammar.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"

namespace floe::inference::grammar {
namespace {

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
    grammar_->Release(&state_);
  }

  absl::StatusOr<std::span<const uint64_t>> Allowed() override {
    const std::lock_guard lock(grammar_->mutex_);
    FLOE_ASSIGN_OR_RETURN(mask_, grammar_->MaskOf(state_));
    return std::span<const uint64_t>(*mask_);
  }
  absl::Status Accept(int32_t id) override {
    const std::lock_guard lock(grammar_->mutex_);
    return grammar_->Accept(state_, id);
  }
  bool complete() const override {
    const std::lock_guard lock(grammar_->mutex_);
    return grammar_->automaton_.complete(state_);
  }

 private:
  const std::shared_ptr<CompiledGrammar> grammar_;  // shared: keeps it alive
  Automaton::State state_ = Automaton::kDead;       // guarded by the grammar's mutex
  TokenMask mask_;
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
  FLOE_RETURN_IF_ERROR(compiled->MaskOf(compiled->start_).status());
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

absl::StatusOr<TokenMask> CompiledGrammar::MaskOf(const Automaton::State& state) {
  BeginWork();  // may give the state another number
  if (const auto kept = mask_of_.find(state); kept != mask_of_.end()) {
    masks_.splice(masks_.begin(), masks_, kept->second);
    return kept->second->mask;
  }
  FLOE_ASSIGN_OR_RETURN(TokenMask mask, Walk(state));
  masks_.push_front({state, mask});
  mask_of_[state] = masks_.begin();
  if (masks_.size() * tokens_->mask_words() * sizeof(uint64_t) > kMaskBytes && masks_.size() > 1) {
    mask_of_.erase(masks_.back().state);
    masks_.pop_back();
  }
  return mask;
}

absl::StatusOr<TokenMask> CompiledGrammar::Walk(Automaton::State state) {
  auto mask = std::make_shared<std::vector<uint64_t>>(tokens_->mask_words());
  const auto allow = [&](int32_t id) {
    (*mask)[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
  };
  const std::vector<TokenTrie::Node>& nodes = tokens_->nodes();
  path_.resize(tokens_->max_depth() + 1);
  path_[0] = state;
  bool any = false;
  for (size_t i = 0; i < nodes.size();) {
    const TokenTrie::Node& node = nodes[i];
    const Automaton::State next = automaton_.Next(path_[node.depth - 1], node.byte);
    if (next == Automaton::kTooComplex) return TooComplex();
    if (next == Automaton::kDead) {
      i = node.end;
      continue;
    }
    path_[node.depth] = next;
    for (uint32_t at = i == 0 ? 0 : nodes[i - 1].token_end; at < node.token_end; ++at) {
      allow(tokens_->token(at));
      any = true;
    }
    ++i;
  }
  if (automaton_.accepting(state)) {
    for (const int32_t id : tokens_->end_ids()) allow(id);
    any = true;
  }
  if (any) return mask;
  return absl::InvalidArgumentError("no token of this model goes on with a text of the grammar");
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
