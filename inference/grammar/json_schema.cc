#include "inference/grammar/json_schema.h"

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "inference/grammar/bounded_json.h"
#include "inference/grammar/json_rules.h"
#include "inference/grammar/schema_reader.h"

namespace floe::inference::grammar {

absl::StatusOr<Draft> ReadJsonSchema(std::string_view text) {
  if (text.size() > kMaxSchemaBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the schema has ", text.size(), " bytes; write at most ", kMaxSchemaBytes));
  }
  FLOE_ASSIGN_OR_RETURN(const Json schema, ParseBoundedJson(text));
  return SchemaReader(schema).Read();
}

Draft AnyJsonObject() {
  Draft draft;
  draft.rules.push_back({"root", {}});
  JsonRules rules(draft);
  Expression object = rules.Object();
  draft.rules.front().body = std::move(object);
  return draft;
}

}  // namespace floe::inference::grammar
