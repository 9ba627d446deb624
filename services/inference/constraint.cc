#include "services/inference/constraint.h"

#include "absl/strings/str_cat.h"

#include "base/error_reason.h"
#include "base/status_macros.h"

namespace floe::inference {
namespace {

using grammar::Form;

absl::StatusOr<Form> FormOf(const v1::Constraint& constraint) {
  switch (constraint.form_case()) {
    case v1::Constraint::kRegex:
      return Form{Form::Kind::kRegex, constraint.regex()};
    case v1::Constraint::kEbnf:
      return Form{Form::Kind::kEbnf, constraint.ebnf()};
    case v1::Constraint::kJsonSchema:
      return Form{Form::Kind::kJsonSchema, constraint.json_schema()};
    case v1::Constraint::kJsonObject:
      if (constraint.json_object()) return Form{Form::Kind::kJsonObject, ""};
      break;
    case v1::Constraint::FORM_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("it names no form that this worker knows");
}

absl::StatusOr<std::unique_ptr<TokenConstraint>> Compile(const v1::GenerateRequest& request,
                                                         const ServedModel& model) {
  if (model.grammars == nullptr) {
    return absl::InvalidArgumentError("the checkpoint has no tokenizer, so no token has a text");
  }
  if (request.ignore_eos()) {
    return absl::InvalidArgumentError("an answer of a form ends with it; leave ignore_eos out");
  }
  FLOE_ASSIGN_OR_RETURN(const Form form, FormOf(request.constraint()));
  FLOE_ASSIGN_OR_RETURN(const auto grammar, model.grammars->Get(form));
  return grammar->NewConstraint();
}

}  // namespace

absl::StatusOr<std::unique_ptr<TokenConstraint>> ConstraintFromProto(
    const v1::GenerateRequest& request, const ServedModel& model) {
  auto constraint = Compile(request, model);
  if (constraint.ok()) return constraint;
  return WithReason(
      absl::Status(constraint.status().code(), absl::StrCat("the answer's form cannot be used: ",
                                                            constraint.status().message())),
      kInvalidConstraint);
}

}  // namespace floe::inference
