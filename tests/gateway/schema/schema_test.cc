// Which answers fit which schemas, and what happens to schemas that are none.
#include "gateway/schema/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace floe::gateway {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Why(const std::string& schema, const std::string& answer) {
  const auto compiled = Schema::Compile(schema);
  if (!compiled.ok()) return std::string(compiled.status().message());
  return std::string((*compiled)->Check(answer).message());
}
std::string Mistake(const std::string& schema) {
  return std::string(Schema::Compile(schema).status().message());
}

struct Case {
  const char* schema;
  const char* fits;
  const char* breaks;
};

class SchemaCases : public testing::TestWithParam<Case> {};

TEST_P(SchemaCases, TellsOneFromTheOther) {
  EXPECT_EQ(Why(GetParam().schema, GetParam().fits), "") << GetParam().schema;
  EXPECT_THAT(Why(GetParam().schema, GetParam().breaks), HasSubstr("at ")) << GetParam().schema;
}

INSTANTIATE_TEST_SUITE_P(
    Keywords, SchemaCases,
    testing::Values(
        Case{R"({"type": "integer"})", "1.0", "1.5"}, Case{R"({"type": "number"})", "1.5", "\"1\""},
        Case{R"({"type": ["string", "null"]})", "null", "0"},
        Case{R"({"type": "boolean"})", "true", "null"},
        Case{R"({"const": {"a": 1}})", R"({"a": 1})", R"({"a": 2})"},
        Case{R"({"enum": ["a", 1, null]})", "null", "\"b\""},
        Case{R"({"minimum": 0, "maximum": 2})", "2", "2.1"},
        Case{R"({"exclusiveMinimum": 0})", "0.1", "0"},
        Case{R"({"exclusiveMaximum": 0})", "-0.1", "0"},
        Case{R"({"multipleOf": 0.1})", "0.3", "0.35"},
        Case{R"({"minLength": 2, "maxLength": 2})", "\"\u00e4\u00f6\"", "\"abc\""},
        Case{R"({"pattern": "^a+$"})", "\"aa\"", "\"ab\""},
        Case{R"({"items": {"type": "string"}})", R"(["a"])", R"(["a", 1])"},
        Case{R"({"prefixItems": [{"type": "string"}], "items": false})", R"(["a"])", R"(["a", 1])"},
        Case{R"({"items": [{"type": "string"}], "additionalItems": false})", R"(["a"])",
             R"(["a", 1])"},
        Case{R"({"minItems": 1, "maxItems": 2})", "[1, 2]", "[]"},
        Case{R"({"uniqueItems": true})", "[1, 2, {}]", "[{}, 1, {}]"},
        Case{R"({"contains": {"const": 1}})", "[0, 1]", "[0]"},
        Case{R"({"contains": {"const": 1}, "maxContains": 1})", "[1]", "[1, 1]"},
        Case{R"({"required": ["a"]})", R"({"a": null})", "{}"},
        Case{R"({"properties": {"a": {"type": "string"}}})", R"({"b": 1})", R"({"a": 1})"},
        Case{R"({"properties": {"a": true}, "additionalProperties": false})", R"({"a": 1})",
             R"({"b": 1})"},
        Case{R"({"additionalProperties": {"type": "null"}})", R"({"a": null})", R"({"a": 1})"},
        Case{R"({"patternProperties": {"^x": {"type": "null"}}, "additionalProperties": false})",
             R"({"x1": null})", R"({"y": null})"},
        Case{R"({"propertyNames": {"maxLength": 1}})", R"({"a": 1})", R"({"ab": 1})"},
        Case{R"({"minProperties": 1, "maxProperties": 1})", R"({"a": 1})", "{}"},
        Case{R"({"dependentRequired": {"a": ["b"]}})", R"({"a": 1, "b": 1})", R"({"a": 1})"},
        Case{R"({"dependencies": {"a": {"required": ["b"]}}})", R"({"c": 1})", R"({"a": 1})"},
        Case{R"({"allOf": [{"minimum": 1}, {"maximum": 2}]})", "1", "3"},
        Case{R"({"anyOf": [{"type": "null"}, {"minimum": 2}]})", "null", "1"},
        Case{R"({"oneOf": [{"minimum": 1}, {"minimum": 2}]})", "1", "3"},
        Case{R"({"not": {"type": "null"}})", "1", "null"},
        Case{R"({"if": {"type": "string"}, "then": {"minLength": 1}, "else": {"type": "number"}})",
             "\"a\"", "[]"},
        Case{R"({"$ref": "#/$defs/s", "$defs": {"s": {"type": "string"}}})", "\"a\"", "1"},
        Case{R"({"properties": {"next": {"$ref": "#"}}, "additionalProperties": false})",
             R"({"next": {"next": {}}})", R"({"next": {"x": 1}})"},
        Case{R"({"properties": {"a": false}})", "{}", R"({"a": 1})"}),
    [](const auto& info) { return "Case" + std::to_string(info.index); });

TEST(SchemaTest, AnEmptySchemaTakesAnyJson) {
  EXPECT_EQ(Why("{}", "[1, null]"), "");
  EXPECT_EQ(Why("true", "1"), "");
  EXPECT_THAT(Why("{}", "Sure! Here is it: {}"), HasSubstr("is not valid JSON"));
  EXPECT_THAT(Why("{}", ""), HasSubstr("is not valid JSON"));
  EXPECT_THAT(Why("{}", "{} and more"), HasSubstr("is not valid JSON"));
}

TEST(SchemaTest, ABreachIsToldByItsPlaceAndNotByTheAnswersWords) {
  const std::string schema = R"({"type": "object", "properties": {"people": {"items":
      {"required": ["age"], "properties": {"age": {"type": "integer", "minimum": 0}}}}}})";
  EXPECT_EQ(Why(schema, R"({"people": [{"age": 3}, {"age": -1}]})"),
            "at /people/1/age: must be at least 0");
  EXPECT_EQ(Why(schema, R"({"people": [{}]})"), "at /people/0: lacks the property age");
  const std::string why = Why(schema, R"({"people": [{"age": "hush"}]})");
  EXPECT_EQ(why, "at /people/0/age: must be an integer, and is a string");
  EXPECT_THAT(Why(R"({"additionalProperties": false})", R"({"hush": 1})"), Not(HasSubstr("hush")));
}

TEST(SchemaTest, AnyObjectTakesObjectsOnly) {
  EXPECT_TRUE(Schema::AnyObject()->Check(R"({"a": [1]})").ok());
  EXPECT_FALSE(Schema::AnyObject()->Check("[1]").ok());
}

TEST(SchemaTest, MistakesAreToldByTheirPlace) {
  EXPECT_THAT(Mistake("x"), HasSubstr("not valid JSON"));
  EXPECT_THAT(Mistake("1"), HasSubstr("at the top: a schema must be an object"));
  EXPECT_THAT(Mistake(R"({"properties": {"a": {"type": "text"}}})"),
              HasSubstr("at /properties/a/type: type must be null"));
  EXPECT_THAT(Mistake(R"({"requird": ["a"]})"), HasSubstr("requird is not supported"));
  EXPECT_THAT(Mistake(R"({"pattern": "(a"})"), HasSubstr("at /pattern: the pattern: missing )"));
  EXPECT_THAT(Mistake(R"j({"pattern": "(?=a)"})j"), HasSubstr("/pattern"));
  EXPECT_THAT(Mistake(R"({"$ref": "http://example.org/s"})"), HasSubstr("point into this schema"));
  EXPECT_THAT(Mistake(R"({"$ref": "#/$defs/none"})"), HasSubstr("has no schema"));
  EXPECT_THAT(Mistake(R"({"anyOf": []})"), HasSubstr("not empty"));
  EXPECT_THAT(Mistake(R"({"minLength": -1})"), HasSubstr("at least 0"));
  EXPECT_THAT(Mistake(R"({"multipleOf": 0})"), HasSubstr("above 0"));
}

TEST(SchemaTest, NamesOfPropertiesAreNotKeywords) {
  EXPECT_EQ(
      Why(R"({"properties": {"pattern": {"type": "string"}, "$ref": {}}})", R"({"pattern": "("})"),
      "");
}

// Each would keep a naive check busy for ever, or overflow its stack.
TEST(SchemaTest, BombsDoNotGoOff) {
  const auto start = std::chrono::steady_clock::now();
  const std::string many(100'000, 'a');
  EXPECT_NE(Why(R"({"pattern": "^(a+)+$"})", "\"" + many + "!\""), "");
  EXPECT_NE(Why(R"({"pattern": "^(a|aa)*$"})", "\"" + many + "!\""), "");
  EXPECT_THAT(Mistake(R"({"pattern": "((a{1,100}){1,100}){1,100}"})"), HasSubstr("/pattern"));
  // A reference to itself.
  EXPECT_THAT(Why(R"({"$ref": "#"})", "1"), HasSubstr("too many steps"));
  EXPECT_THAT(Why(R"({"not": {"$ref": "#"}})", "1"), HasSubstr("too many steps"));
  // Twice as much work a level of the answer.
  const std::string doubling =
      R"({"items": {"anyOf": [{"allOf": [{"$ref": "#"}, {"type": "null"}]},
                              {"allOf": [{"$ref": "#"}, {"type": "null"}]}]}})";
  EXPECT_THAT(Why(doubling, std::string(60, '[') + std::string(60, ']')),
              HasSubstr("too many steps"));
  // Deep answers and deep schemas.
  EXPECT_THAT(Why("{}", std::string(100'000, '[')), HasSubstr("deeper than 100"));
  std::string deep = "{}";
  for (int i = 0; i < 60; ++i) deep = R"({"not": )" + deep + "}";
  EXPECT_THAT(Mistake(deep), HasSubstr("deeper than"));
  EXPECT_THAT(Mistake(R"({"description": ")" + std::string(70'000, 'x') + "\"}"),
              HasSubstr("at most 65536"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

}  // namespace
}  // namespace floe::gateway
