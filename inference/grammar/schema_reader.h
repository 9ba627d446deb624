// Used by json_schema.cc alone: a schema's values as a draft.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "inference/grammar/bounded_json.h"
#include "inference/grammar/expression.h"
#include "inference/grammar/json_rules.h"

namespace floe::inference::grammar {

// Once for a schema, which it borrows. What a $ref leads to is a rule of its own, read when the
// rest is, so that schemas may contain themselves.
class SchemaReader {
 public:
  explicit SchemaReader(const Json& root) : root_(root), rules_(draft_) {}

  absl::StatusOr<Draft> Read();

 private:
  // Where a schema stands: its JSON pointer, and how deep.
  struct Place {
    std::string pointer;
    int depth = 0;
    Place In(std::string_view keyword) const;
    absl::Status Wrong(std::string_view what) const;
  };
  struct Property {
    std::string name;
    bool required = false;
    Expression member;  // `"name": value`
  };

  absl::StatusOr<Expression> ReadSchema(const Json& schema, const Place& place);
  absl::StatusOr<Expression> ReadReference(const Json& schema, const Place& place);
  absl::StatusOr<Expression> ReadChoices(const Json& schema, const Place& place);
  absl::StatusOr<Expression> ReadApplicator(const Json& schema, const std::string& keyword,
                                            const Place& place);
  absl::StatusOr<Expression> ReadTyped(const Json& schema, const Place& place);
  absl::StatusOr<Expression> ReadType(const Json& schema, std::string_view type,
                                      const Place& place);
  absl::StatusOr<Expression> ReadString(const Json& schema, const Place& place);
  absl::StatusOr<Expression> ReadNumber(const Json& schema, bool integer, const Place& place);
  absl::StatusOr<Expression> ReadArray(const Json& schema, const Place& place);
  absl::StatusOr<Expression> ReadObject(const Json& schema, const Place& place);
  absl::StatusOr<std::vector<Property>> ReadProperties(const Json& schema, const Place& place);
  // The members in their order, with commas between those that are there.
  Expression Members(const std::vector<Property>& properties, const Expression* others);

  const Json& root_;
  Draft draft_;
  JsonRules rules_;
  std::map<std::string, int> rule_of_reference_;  // by pointer
  std::vector<std::pair<std::string, int>> unread_;
};

}  // namespace floe::inference::grammar
