#include "inference/grammar/grammar_cache.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "inference/grammar/ebnf.h"
#include "inference/grammar/json_schema.h"
#include "inference/grammar/regex.h"

namespace floe::inference::grammar {
namespace {

absl::StatusOr<Draft> Read(const Form& form) {
  switch (form.kind) {
    case Form::Kind::kEbnf:
      return ParseEbnf(form.text);
    case Form::Kind::kJsonSchema:
      return ReadJsonSchema(form.text);
    case Form::Kind::kJsonObject:
      return AnyJsonObject();
    case Form::Kind::kRegex:
      break;
  }
  FLOE_ASSIGN_OR_RETURN(Expression whole, ParseRegex(form.text));
  Draft draft;
  draft.rules.push_back({"root", std::move(whole)});
  return draft;
}

}  // namespace

absl::StatusOr<Grammar> CompileForm(const Form& form) {
  FLOE_ASSIGN_OR_RETURN(const Draft draft, Read(form));
  return Grammar::Compile(draft);
}

std::shared_ptr<const TokenTrie> GrammarCache::Tokens() {
  std::call_once(laid_out_, [this] {
    std::vector<std::string> bytes(
        static_cast<size_t>(std::min<int64_t>(vocab_size_, tokenizer_.vocab_size())));
    for (size_t id = 0; id < bytes.size(); ++id) {
      const auto token = static_cast<int32_t>(id);
      if (!tokenizer_.IsSpecial(token)) bytes[id] = tokenizer_.TokenBytes(token).value_or("");
    }
    tokens_ = std::make_shared<const TokenTrie>(std::move(bytes), end_ids_, vocab_size_);
  });
  return tokens_;
}

absl::StatusOr<std::shared_ptr<CompiledGrammar>> GrammarCache::Get(const Form& form) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = kept_of_.find(form); found != kept_of_.end()) {
      kept_.splice(kept_.begin(), kept_, found->second);
      return found->second->grammar;
    }
  }
  FLOE_ASSIGN_OR_RETURN(Grammar grammar, CompileForm(form));
  FLOE_ASSIGN_OR_RETURN(std::shared_ptr<CompiledGrammar> compiled,
                        CompiledGrammar::Create(std::move(grammar), Tokens()));
  const std::lock_guard lock(mutex_);
  // Somebody else may have compiled it meanwhile: theirs has masks already.
  if (const auto found = kept_of_.find(form); found != kept_of_.end()) {
    return found->second->grammar;
  }
  kept_.push_front({form, compiled});
  kept_of_[form] = kept_.begin();
  if (kept_.size() > kMaxGrammars) {
    kept_of_.erase(kept_.back().form);
    kept_.pop_back();
  }
  return compiled;
}

}  // namespace floe::inference::grammar
