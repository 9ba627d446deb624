// A JSON Schema, compiled once a request, and the check of an answer against it.
//
// Source: json-schema.org, draft 2020-12 (validation and applicator vocabularies); `items` as a
// list and `definitions` and `dependencies` of earlier drafts are read as they were meant.
#pragma once

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"

namespace floe::gateway {

// Immutable; safe to use from many threads.
class Schema {
 public:
  // INVALID_ARGUMENT tells the place in the schema (a JSON pointer) and what is wrong there: a
  // value of the wrong type, a keyword that is not supported, a pattern that RE2 does not know, a
  // $ref that leads nowhere or out of the schema; or that it is too large (64 KiB, 32 levels).
  static absl::StatusOr<std::unique_ptr<const Schema>> Compile(std::string_view text);
  // Any JSON object.
  static std::unique_ptr<const Schema> AnyObject();
  ~Schema();

  // FAILED_PRECONDITION tells the place in the answer and what is wrong there (never the answer's
  // own words), or that it is no JSON; also when it nests deeper than 100 levels, or takes more
  // than a million steps to check.
  absl::Status Check(std::string_view answer) const;

 private:
  struct State;
  explicit Schema(std::unique_ptr<State> state);
  const std::unique_ptr<State> state_;
};

}  // namespace floe::gateway
