#include "tokenizer/jinja/template.h"

#include "base/status_macros.h"
#include "tokenizer/jinja/interpreter.h"
#include "tokenizer/jinja/parser.h"

namespace floe::tokenizer::jinja {

Template::Template(std::unique_ptr<const Parsed> parsed) : parsed_(std::move(parsed)) {}
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;
Template::~Template() = default;

absl::StatusOr<Template> Template::Load(std::string_view source) {
  FLOE_ASSIGN_OR_RETURN(Parsed parsed, Parse(source));
  return Template(std::make_unique<const Parsed>(std::move(parsed)));
}

bool Template::has_generation() const { return parsed_->has_generation; }

absl::StatusOr<Rendering> Template::Render(RenderInput input) const {
  return Interpreter(std::move(input)).Run(parsed_->body);
}

}  // namespace floe::tokenizer::jinja
