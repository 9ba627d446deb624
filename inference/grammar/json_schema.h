// JSON Schemas (2020-12) as grammars. Every text of the grammar is a value of the schema; not every
// value is a text of it:
//
//   - The properties of an object come in the order in which the schema has them, the required ones
//     that it does not describe behind them. Others come last, and only when additionalProperties
//     is there and not false, or the schema describes none.
//   - A list with prefixItems has all of them. A schema without `type` that has keywords of one
//   type
//     describes values of that type.
//   - Integers have up to 15 digits; numbers with bounds up to six behind the point, no exponent.
//   - White space and what may be any value are as json_rules.h says.
//
// Known: true, false, type, enum, const, anyOf, oneOf (of which no two can hold at once), allOf of
// one, $ref into the schema (also to itself); properties, required, additionalProperties; items,
// prefixItems, minItems, maxItems; minLength, maxLength, pattern (regex.h), format (date, time,
// date-time, uuid, ipv4, email); minimum, maximum, exclusiveMinimum, exclusiveMaximum. Words that
// only describe, and other formats, say nothing. Every other keyword is refused by name, since no
// mask could hold it.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"

#include "inference/grammar/expression.h"

namespace floe::inference::grammar {

inline constexpr size_t kMaxSchemaBytes = 64 << 10;

// Pure. INVALID_ARGUMENT with the place in the schema, a JSON pointer.
absl::StatusOr<Draft> ReadJsonSchema(std::string_view text);

// Any JSON object.
Draft AnyJsonObject();

}  // namespace floe::inference::grammar
