#include "gateway/schema/schema.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>
#include <re2/re2.h>

#include "base/status_macros.h"
#include "gateway/schema/compile.h"
#include "gateway/schema/validate.h"

namespace floe::gateway {
namespace {

using nlohmann::json;

constexpr size_t kMaxSchemaBytes = 64 << 10;
constexpr int kMaxDepth = 100;

// JSON that does not nest too deep: reading and freeing it are recursions of some parts.
absl::StatusOr<json> ParseBounded(std::string_view text) {
  bool too_deep = false;
  const auto watch = [&](int depth, json::parse_event_t, json&) {
    too_deep = too_deep || depth > kMaxDepth;
    return !too_deep;
  };
  json value = json::parse(text, watch, /*allow_exceptions=*/false);
  if (too_deep) return absl::OutOfRangeError("nests deeper than 100 levels");
  if (value.is_discarded()) return absl::InvalidArgumentError("is not valid JSON");
  return value;
}

}  // namespace

struct Schema::State {
  schema::Compiled compiled;
};

Schema::Schema(std::unique_ptr<State> state) : state_(std::move(state)) {}
Schema::~Schema() = default;

absl::StatusOr<std::unique_ptr<const Schema>> Schema::Compile(std::string_view text) {
  if (text.size() > kMaxSchemaBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the schema has ", text.size(), " bytes; write at most ", kMaxSchemaBytes));
  }
  const absl::StatusOr<json> parsed = ParseBounded(text);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("the schema ", parsed.status().message()));
  }
  auto state = std::make_unique<State>();
  FLOE_ASSIGN_OR_RETURN(state->compiled, schema::CompileNodes(*parsed));
  return std::unique_ptr<const Schema>(new Schema(std::move(state)));
}

std::unique_ptr<const Schema> Schema::AnyObject() {
  auto state = std::make_unique<State>();
  auto node = std::make_unique<schema::Node>();
  node->types = schema::kObject;
  state->compiled.root = node.get();
  state->compiled.nodes.push_back(std::move(node));
  return std::unique_ptr<const Schema>(new Schema(std::move(state)));
}

absl::Status Schema::Check(std::string_view answer) const {
  const absl::StatusOr<json> value = ParseBounded(answer);
  if (!value.ok()) {
    return absl::FailedPreconditionError(absl::StrCat("the answer ", value.status().message()));
  }
  return schema::Validate(*state_->compiled.root, *value);
}

}  // namespace floe::gateway
