#include "tokenizer/jinja/interpreter.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "base/view.h"

namespace floe::tokenizer::jinja {

Interpreter::Interpreter(RenderInput input)
    : now_(input.now), budget_(input.work), globals_{nullptr, std::move(input.variables)} {}

absl::StatusOr<Rendering> Interpreter::Run(const Block& body) {
  const absl::Status status = Execute(body).status();
  if (status.ok()) return std::move(rendering_);
  return absl::Status(status.code(), absl::StrCat("line ", error_line_,
                                                  " of the chat template: ", status.message()));
}

absl::StatusOr<Interpreter::Flow> Interpreter::Execute(const Block& block) {
  for (const auto& statement : block) {
    ++level_;
    absl::StatusOr<Flow> flow =
        level_ > kMaxNesting ? absl::StatusOr<Flow>(TooDeep()) : Execute(*statement);
    --level_;
    if (!flow.ok() && error_line_ == 0) error_line_ = statement->line;
    if (!flow.ok() || *flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

absl::StatusOr<Interpreter::Flow> Interpreter::Execute(const Statement& statement) {
  FLOE_RETURN_IF_ERROR(budget_.Spend(1));
  switch (statement.kind) {
    case StatementKind::kText:
      FLOE_RETURN_IF_ERROR(Write(statement.text));
      break;
    case StatementKind::kOutput: {
      FLOE_ASSIGN_OR_RETURN(const Value value, Evaluate(*statement.expression));
      FLOE_ASSIGN_OR_RETURN(const Text text, ToText(value));
      FLOE_RETURN_IF_ERROR(Write(text));
      break;
    }
    case StatementKind::kIf:
      return If(statement);
    case StatementKind::kFor:
      return For(statement);
    case StatementKind::kSet:
      FLOE_RETURN_IF_ERROR(Set(statement));
      break;
    case StatementKind::kSetBlock: {
      FLOE_ASSIGN_OR_RETURN(Text text, Capture(statement.body));
      scope_->names.insert_or_assign(statement.targets[0], Value::Of(std::move(text)));
      break;
    }
    case StatementKind::kMacro:
      scope_->names.insert_or_assign(statement.attribute, Value(Macro{&statement}));
      break;
    case StatementKind::kGeneration:
      FLOE_RETURN_IF_ERROR(Generate(statement));
      break;
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

absl::Status Interpreter::Write(const Text& text) {
  FLOE_RETURN_IF_ERROR(budget_.SpendBytes(text.size()));
  out_->Append(text);
  return absl::OkStatus();
}

absl::StatusOr<Interpreter::Flow> Interpreter::If(const Statement& statement) {
  for (const auto& [condition, body] : statement.branches) {
    bool holds = true;
    if (condition != nullptr) {
      FLOE_ASSIGN_OR_RETURN(const Value value, Evaluate(*condition));
      holds = Truth(value);
    }
    if (holds) return Execute(body);
  }
  return Flow::kNext;
}

absl::Status Interpreter::Bind(const std::vector<std::string>& targets, Value value) {
  if (targets.size() == 1) {
    scope_->names.insert_or_assign(targets[0], std::move(value));
    return absl::OkStatus();
  }
  FLOE_ASSIGN_OR_RETURN(std::vector<Value> parts, Elements(value, budget_));
  if (parts.size() != targets.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(parts.size(), " values for ", targets.size(), " names"));
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    scope_->names.insert_or_assign(targets[i], std::move(parts[i]));
  }
  return absl::OkStatus();
}

absl::StatusOr<Value> Interpreter::LoopItems(const Statement& statement) {
  FLOE_ASSIGN_OR_RETURN(const Value iterable, Evaluate(*statement.expression));
  if (iterable.list() != nullptr && statement.condition == nullptr) return iterable;
  FLOE_ASSIGN_OR_RETURN(std::vector<Value> elements, Elements(iterable, budget_));
  if (statement.condition == nullptr) return MakeList(std::move(elements), budget_);
  std::vector<Value> kept;
  for (Value& element : elements) {
    Scope inner{scope_, {}};
    scope_ = &inner;
    absl::Status status = Bind(statement.targets, element);
    absl::StatusOr<Value> passes = status.ok() ? Evaluate(*statement.condition) : Value();
    scope_ = inner.outer;
    FLOE_RETURN_IF_ERROR(status);
    FLOE_RETURN_IF_ERROR(passes.status());
    if (Truth(*passes)) kept.push_back(std::move(element));
  }
  return MakeList(std::move(kept), budget_);
}

absl::StatusOr<Interpreter::Flow> Interpreter::For(const Statement& statement) {
  FLOE_ASSIGN_OR_RETURN(const Value iterable, LoopItems(statement));
  const auto items = *iterable.As<std::shared_ptr<const List>>();
  for (size_t i = 0; i < items->items.size(); ++i) {
    Scope inner{scope_, {}};
    inner.names["loop"] = Value(std::make_shared<const Loop>(Loop{items, static_cast<int64_t>(i)}));
    scope_ = &inner;
    absl::StatusOr<Flow> flow = Flow::kNext;
    const absl::Status bound = Bind(statement.targets, items->items[i]);
    if (bound.ok()) flow = Execute(statement.body);
    scope_ = inner.outer;
    FLOE_RETURN_IF_ERROR(bound);
    if (!flow.ok()) return flow;
    if (*flow == Flow::kBreak) break;
  }
  if (items->items.empty()) return Execute(statement.otherwise);
  return Flow::kNext;
}

absl::Status Interpreter::Set(const Statement& statement) {
  FLOE_ASSIGN_OR_RETURN(Value value, Evaluate(*statement.expression));
  if (statement.attribute.empty()) return Bind(statement.targets, std::move(value));
  FLOE_ASSIGN_OR_RETURN(const Value target, Variable(statement.targets[0]));
  const auto* space = target.As<std::shared_ptr<Namespace>>();
  if (space == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", statement.targets[0], "' is no namespace, so its attribute cannot be set"));
  }
  if (value.As<std::shared_ptr<Namespace>>() != nullptr) {
    return absl::InvalidArgumentError("a namespace cannot be kept inside another one");
  }
  (*space)->attributes.insert_or_assign(statement.attribute, std::move(value));
  return absl::OkStatus();
}

absl::Status Interpreter::Generate(const Statement& statement) {
  const size_t begin = out_->size();
  Scope inner{scope_, {}};
  scope_ = &inner;
  const absl::Status status = Execute(statement.body).status();
  scope_ = inner.outer;
  FLOE_RETURN_IF_ERROR(status);
  rendering_.generations.emplace_back(begin, out_->size());
  return absl::OkStatus();
}

absl::StatusOr<Text> Interpreter::Capture(const Block& block) {
  Text text;
  Text* const outer = std::exchange(out_, &text);
  Scope inner{scope_, {}};
  scope_ = &inner;
  const absl::Status status = Execute(block).status();
  scope_ = inner.outer;
  out_ = outer;
  FLOE_RETURN_IF_ERROR(status);
  return text;
}

}  // namespace floe::tokenizer::jinja
