// nlohmann/json and the gateway's own check of answers are the judges of what a schema's grammar
// brings forth.
#include "inference/grammar/json_schema.h"

#include <random>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

#include "gateway/schema/schema.h"
#include "inference/grammar/number_range.h"
#include "tests/inference/grammar/matching.h"

namespace floe::inference::grammar {
namespace {

using testing::HasSubstr;

Grammar Schema(const std::string& text) { return Compiled(Form::Kind::kJsonSchema, text); }

const std::vector<std::string>& Schemas() {
  static const std::vector<std::string> kSchemas = {
      R"(true)",
      R"({"type": "object"})",
      R"({"type": "object", "properties": {"name": {"type": "string", "maxLength": 5}, "age":
          {"type": "integer", "minimum": 0, "maximum": 150}}, "required": ["name", "age"],
          "additionalProperties": false})",
      R"({"type": "object", "properties": {"b": {"type": "boolean"}, "a": {"type": "null"},
          "c": {"enum": ["x", 1, null, {"k": [1]}]}}})",
      R"({"properties": {"a": {"type": "integer"}}, "required": ["z"],
          "additionalProperties": {"type": "boolean"}})",
      R"({"type": "object", "properties": {"a": {"const": 1}, "ab": {"const": 2}, "\"": {"const": 3}},
          "additionalProperties": {"type": "null"}})",
      R"({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 4})",
      R"({"type": "array", "prefixItems": [{"type": "string", "maxLength": 1}, {"type": "integer"}]})",
      R"({"prefixItems": [{"type": "null"}], "items": {"type": "boolean"}, "maxItems": 3})",
      R"({"anyOf": [{"type": "string", "minLength": 2, "maxLength": 3}, {"type": "null"}]})",
      R"({"oneOf": [{"type": "object", "properties": {"kind": {"const": "a"}}, "required": ["kind"]},
                    {"type": "object", "properties": {"kind": {"const": "b"}, "n": {"type": "integer"}},
                     "required": ["kind"]}]})",
      R"({"$defs": {"node": {"type": "object", "properties": {"value": {"type": "integer"},
          "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
          "required": ["value", "next"]}}, "$ref": "#/$defs/node"})",
      R"({"type": "array", "items": {"$ref": "#"}})",
      R"({"type": "string", "pattern": "^[A-Z]{2}-\\d+\\.\"\\\\$"})",
      R"({"type": "string", "pattern": "^a+\n?b$"})",
      R"({"type": ["integer", "boolean", "null"], "minimum": -12, "exclusiveMaximum": 3})",
      R"({"type": "number", "minimum": -2, "maximum": 13})",
      R"({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 2})",
      R"({"type": "number", "maximum": -7})",
      R"({"type": "integer", "minimum": 99, "maximum": 12345})",
      R"({"allOf": [{"type": "string", "maxLength": 2}], "description": "one"})",
  };
  return kSchemas;
}

TEST(JsonSchema, EveryTextOfItsGrammarIsAValueOfIt) {
  std::mt19937 random(5);
  for (const std::string& text : Schemas()) {
    const Grammar grammar = Schema(text);
    const auto judge = gateway::Schema::Compile(text);
    ASSERT_TRUE(judge.ok()) << judge.status();
    int whole = 0;
    for (int i = 0; i < 400; ++i) {
      const std::string value = RandomMatch(grammar, random, 400);
      if (value.empty()) continue;  // it grew too long
      ++whole;
      ASSERT_TRUE(nlohmann::json::accept(value)) << text << "\n" << value;
      const absl::Status fits = (*judge)->Check(value);
      ASSERT_TRUE(fits.ok()) << text << "\n" << value << "\n" << fits;
    }
    EXPECT_GT(whole, 20) << text;
  }
}

struct Example {
  std::string schema;
  std::vector<std::string> good;
  std::vector<std::string> bad;
};

TEST(JsonSchema, TakesTheValuesThatAModelWrites) {
  const std::vector<Example> examples = {
      {R"({"type": "object", "properties": {"b": {"type": "integer"}, "a": {"type": "string"}},
           "required": ["b"]})",
       {R"({"b": 1})", R"({"b":1,"a":"x"})",
        "{\n  \"b\": -3,\n  \"a\": \"\\u00e9 \\\\ \u4e2d\"\n}"},
       {R"({})", R"({"a": "x", "b": 1})", R"({"b": 1, "c": 2})", R"({"b": 1.5})", R"({"b": 01})",
        R"({"b": 1} )", R"({"b": 1,})"}},
      {R"({"type": "object", "properties": {"a": {}}, "additionalProperties": {"type": "integer"}})",
       {R"({})", R"({"a": [{}], "ab": 1, "": 2, "b": 3})", R"({"b": 3})"},
       {R"({"b": 3, "a": 1})", R"({"a": 1, "a": 2})", R"({"b": "x"})", R"({"\u0061": 1})"}},
      {R"({"type": "integer", "minimum": -5, "maximum": 120})",
       {"-5", "-1", "0", "7", "99", "100", "120"},
       {"-6", "-0", "121", "1000", "007", "1.0", ""}},
      {R"({"type": "integer", "minimum": 8})",
       {"8", "9", "10", "123456789012345"},
       {"7", "0", "-8"}},
      {R"({"type": "integer", "exclusiveMaximum": -9})", {"-10", "-99"}, {"-9", "-1", "0", "9"}},
      {R"({"type": "number", "exclusiveMinimum": 0, "maximum": 1})",
       {"0.1", "0.000001", "1", "0.9"},
       {"0", "0.0", "1.1", "-0.5", "1e5"}},
      {R"({"type": "number"})", {"0", "-1.5e+10", "12.25"}, {"+1", ".5", "1.", "0x1", "NaN"}},
      {R"({"type": "string", "format": "date"})",
       {R"("2024-01-31")", R"("1999-12-01")"},
       {R"("2024-02-30")", R"("2024-04-31")", R"("24-1-1")"}},
      {R"({"type": "string", "format": "date-time"})",
       {R"("2024-01-31T23:59:59Z")", R"("2024-01-31T00:00:00.25+02:00")"},
       {R"("2024-01-31 23:59:59Z")", R"("2024-01-31T24:00:00Z")"}},
      {R"({"type": "string", "format": "uuid"})",
       {R"("123e4567-e89b-12d3-a456-426614174000")"},
       {R"("123e4567")"}},
      {R"({"type": "string", "format": "ipv4"})", {R"("255.0.10.1")"}, {R"("256.0.0.1")"}},
      {R"({"type": "string", "format": "email"})", {R"("a.b+c@xy.org")"}, {R"("a@b")"}},
      {R"({"type": "string", "format": "color", "maxLength": 3})", {R"("red")"}, {R"("blue")"}},
      {R"({"type": "string"})",
       {R"("\ud83d\ude00")", R"("\n\"")"},
       {R"("\ud83d")", "\"\n\"", R"("\x")", R"("\ude00\ud83d")"}},
      {R"({"enum": ["a\"b", 3, {"k": null}], "type": ["string", "object"]})",
       {R"("a\"b")", R"({"k":null})"},
       {"3"}},
      {R"({"type": "array", "maxItems": 0})", {"[]", "[ ]"}, {"[1]"}},
      {R"({"type": "array", "items": {"type": "integer"}, "minItems": 1})",
       {"[1]", "[1, 2,3]"},
       {"[]", "[1,]", "[\"1\"]"}},
  };
  for (const Example& example : examples) {
    const Grammar grammar = Schema(example.schema);
    for (const std::string& good : example.good) {
      EXPECT_TRUE(Matches(grammar, good)) << example.schema << " on " << good;
    }
    for (const std::string& bad : example.bad) {
      EXPECT_FALSE(Matches(grammar, bad)) << example.schema << " on " << bad;
    }
  }
}

// All integers beside an interval's ends, and random ones.
TEST(JsonSchema, BoundsOfIntegersAreExact) {
  std::mt19937_64 random(9);
  for (int i = 0; i < 300; ++i) {
    const int64_t scale = int64_t{1} << (random() % 40);
    int64_t low = static_cast<int64_t>(random() % (2 * scale)) - scale;
    int64_t high = static_cast<int64_t>(random() % (2 * scale)) - scale;
    if (low > high) std::swap(low, high);
    const Grammar grammar = Schema(
        absl::StrCat(R"({"type": "integer", "minimum": )", low, R"(, "maximum": )", high, "}"));
    for (int64_t near = -3; near <= 3; ++near) {
      for (const int64_t n : {low + near, high + near, near}) {
        EXPECT_EQ(Matches(grammar, absl::StrCat(n)), low <= n && n <= high)
            << n << " in [" << low << ", " << high << "]";
      }
    }
    const int64_t inside =
        low + static_cast<int64_t>(random() % static_cast<uint64_t>(high - low + 1));
    EXPECT_TRUE(Matches(grammar, absl::StrCat(inside))) << inside;
  }
}

TEST(JsonSchema, AnyValueNestsSixteenLevels) {
  const Grammar grammar = Schema("{}");
  EXPECT_TRUE(Matches(grammar, std::string(16, '[') + std::string(16, ']')));
  EXPECT_FALSE(Matches(grammar, std::string(17, '[') + std::string(17, ']')));
}

TEST(JsonObject, IsAnyObjectAndNothingElse) {
  const Grammar grammar = Compiled(Form::Kind::kJsonObject, "");
  EXPECT_TRUE(Matches(grammar, R"({"a": [1, {"b": null}], "c": "d"})"));
  for (const char* other : {"[]", "1", "\"x\"", "", "{", "{\"a\"}"}) {
    EXPECT_FALSE(Matches(grammar, other)) << other;
  }
}

TEST(JsonSchema, WhatNoMaskCanHoldIsRefusedByName) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"properties": {"a": {"multipleOf": 2}}})", "at /properties/a: the keyword multipleOf"},
      {R"({"type": "array", "uniqueItems": true})", "the keyword uniqueItems"},
      {R"({"not": {"type": "null"}})", "the keyword not"},
      {R"({"type": "object", "minProperties": 1})", "the keyword minProperties"},
      {R"({"type": "object", "patternProperties": {"^a": true}})", "the keyword patternProperties"},
      {R"({"type": "array", "contains": true})", "the keyword contains"},
      {R"({"if": true, "then": false})", "the keyword if"},
      {R"({"allOf": [true, true]})", "allOf of several"},
      {R"({"oneOf": [{"type": "integer"}, {"type": "number"}]})", "schemas 0 and 1 may both hold"},
      {R"({"anyOf": [true], "maxLength": 3})", "maxLength beside anyOf"},
      {R"({"$ref": "#/$defs/a", "minimum": 3})", "minimum beside $ref"},
      {R"({"$ref": "#/$defs/a"})", "leads to where this schema has no schema"},
      {R"({"$ref": "http://x/y"})", "must point into this schema"},
      {R"({"$ref": "#a~"})", "no schema"},
      {R"({"$ref": "#"})", "no text of finite length"},
      {R"({"anyOf": [{"$ref": "#"}, {"type": "null"}]})", "rule # calls itself"},
      {R"({"enum": [1], "minimum": 0})", "minimum beside const or enum"},
      {R"({"type": "string", "pattern": "(a)\\1"})", "at /pattern: at character"},
      {R"({"type": "string", "pattern": "a", "maxLength": 3})", "beside pattern"},
      {R"({"type": "number", "minimum": 0.5})", "this bound cannot be enforced"},
      {R"({"type": "integer", "maximum": 1e30})", "this bound cannot be enforced"},
      {R"({"type": "text"})", "type must be"},
      {R"({"type": []})", "at least one type"},
      {R"({"type": "string", "minLength": -1})", "minLength must be an integer"},
      {R"({"type": "array", "minItems": 4, "maxItems": 3})", "maxItems is below"},
      {R"({"properties": []})", "must be an object of schemas"},
      {R"({"required": [1]})", "must be a list of names"},
      {R"([])", "a schema must be an object"},
      {R"({)", "not valid JSON"},
      {R"(false)", "no text of finite length"},
      {R"({"type": "string", "minLength": 3, "maxLength": 2})", "no text of finite length"},
      {R"({"type": "object", "required": ["a"], "additionalProperties": false})",
       "no text of finite length"},
      {R"({"$defs": {"n": {"type": "array", "items": {"$ref": "#/$defs/n"}, "minItems": 1}},
           "$ref": "#/$defs/n"})",
       "no text of finite length"},
      {std::string(200, '[') + std::string(200, ']'), "deeper than 100"},
      {absl::StrCat("\"", std::string(kMaxSchemaBytes, 'x'), "\""), "at most"},
  };
  for (const auto& [schema, says] : cases) {
    const auto grammar = CompileForm({Form::Kind::kJsonSchema, schema});
    EXPECT_TRUE(absl::IsInvalidArgument(grammar.status())) << schema.substr(0, 60);
    EXPECT_THAT(std::string(grammar.status().message()), HasSubstr(says)) << schema.substr(0, 60);
  }
}

TEST(JsonSchema, BombsAreRefused) {
  // 3^32 ways through definitions that each name the next one three times: read once each.
  std::string doubling = R"({"$ref": "#/$defs/d0", "$defs": {)";
  for (int i = 0; i < 32; ++i) {
    const std::string next = absl::StrCat(R"({"$ref": "#/$defs/d)", i + 1, R"("})");
    absl::StrAppend(&doubling, "\"d", i, R"(": {"type": "array", "prefixItems": [)", next, ",",
                    next, ",", next, "]},");
  }
  doubling += R"("d32": {"type": "null"}}})";
  EXPECT_LT(Schema(doubling).size(), 2000u);
  for (const char* bomb :
       {R"({"type": "array", "items": {"type": "array", "minItems": 65535}, "minItems": 65535})",
        R"({"type": "string", "maxLength": 4000000000})"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(CompileForm({Form::Kind::kJsonSchema, bomb}).status()));
  }
}

}  // namespace
}  // namespace floe::inference::grammar
