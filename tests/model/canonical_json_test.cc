#include "model/canonical_json.h"

#include <bit>
#include <cstdint>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace floe::model {
namespace {

using ::testing::HasSubstr;

std::string NumberOfBits(uint64_t bits) { return CanonicalNumber(std::bit_cast<double>(bits)); }

// RFC 8785, appendix B.
TEST(CanonicalJson, NumbersAreThoseOfTheStandardsTable) {
  EXPECT_EQ(NumberOfBits(0x0000000000000000), "0");
  EXPECT_EQ(NumberOfBits(0x8000000000000000), "0");
  EXPECT_EQ(NumberOfBits(0x0000000000000001), "5e-324");
  EXPECT_EQ(NumberOfBits(0x8000000000000001), "-5e-324");
  EXPECT_EQ(NumberOfBits(0x7fefffffffffffff), "1.7976931348623157e+308");
  EXPECT_EQ(NumberOfBits(0xffefffffffffffff), "-1.7976931348623157e+308");
  EXPECT_EQ(NumberOfBits(0x4340000000000000), "9007199254740992");
  EXPECT_EQ(NumberOfBits(0xc340000000000000), "-9007199254740992");
  EXPECT_EQ(NumberOfBits(0x4430000000000000), "295147905179352830000");
  EXPECT_EQ(NumberOfBits(0x44b52d02c7e14af5), "9.999999999999997e+22");
  EXPECT_EQ(NumberOfBits(0x44b52d02c7e14af6), "1e+23");
  EXPECT_EQ(NumberOfBits(0x44b52d02c7e14af7), "1.0000000000000001e+23");
  EXPECT_EQ(NumberOfBits(0x444b1ae4d6e2ef4e), "999999999999999700000");
  EXPECT_EQ(NumberOfBits(0x444b1ae4d6e2ef4f), "999999999999999900000");
  EXPECT_EQ(NumberOfBits(0x444b1ae4d6e2ef50), "1e+21");
  EXPECT_EQ(NumberOfBits(0x3eb0c6f7a0b5ed8c), "9.999999999999997e-7");
  EXPECT_EQ(NumberOfBits(0x3eb0c6f7a0b5ed8d), "0.000001");
  EXPECT_EQ(NumberOfBits(0x41b3de4355555553), "333333333.3333332");
  EXPECT_EQ(NumberOfBits(0x41b3de4355555554), "333333333.33333325");
  EXPECT_EQ(NumberOfBits(0x41b3de4355555555), "333333333.3333333");
  EXPECT_EQ(NumberOfBits(0x41b3de4355555556), "333333333.3333334");
  EXPECT_EQ(NumberOfBits(0x41b3de4355555557), "333333333.33333343");
  EXPECT_EQ(NumberOfBits(0xbecbf647612f3696), "-0.0000033333333333333333");
  EXPECT_EQ(NumberOfBits(0x43143ff3c1cb0959), "1424953923781206.2");
}

// RFC 8785, section 3.2.2 and 3.2.3.
TEST(CanonicalJson, WritesTheStandardsExample) {
  EXPECT_EQ(*CanonicalJson(R"({
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    })"),
            "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],"
            "\"string\":\"\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
}

TEST(CanonicalJson, SortsMembersByUtf16CodeUnits) {
  EXPECT_EQ(*CanonicalJson(R"({
      "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh",
      "1": "One", "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control",
      "\u00f6": "Latin Small Letter O With Diaeresis"
    })"),
            "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\xc2\x80\":\"Control\","
            "\"\xc3\xb6\":\"Latin Small Letter O With Diaeresis\",\"\xe2\x82\xac\":\"Euro Sign\","
            "\"\xf0\x9f\x98\x80\":\"Emoji: Grinning Face\","
            "\"\xef\xac\xb3\":\"Hebrew Letter Dalet With Dagesh\"}");
}

TEST(CanonicalJson, IsItsOwnCanonicalForm) {
  const std::string once = *CanonicalJson(R"({"b": [1, 2.50, {"z": "é", "a": null}], "a": ""})");
  EXPECT_EQ(*CanonicalJson(once), once);
}

TEST(CanonicalJson, RefusesWhatReadersWouldTakeDifferently) {
  const auto mistake = [](std::string_view json) {
    const auto canonical = CanonicalJson(json);
    EXPECT_EQ(canonical.status().code(), absl::StatusCode::kInvalidArgument) << json;
    return std::string(canonical.status().message());
  };
  EXPECT_THAT(mistake(R"({"a": 1, "a": 2})"), HasSubstr("\"a\" twice"));
  EXPECT_THAT(mistake(R"({"x": {"a": 1, "b": 2, "a": 2}})"), HasSubstr("\"a\" twice"));
  EXPECT_THAT(mistake("[9007199254740993]"), HasSubstr("2^53"));
  EXPECT_THAT(mistake("[-9007199254740993]"), HasSubstr("2^53"));
  EXPECT_THAT(mistake("[822222000000000000.0]"), HasSubstr("2^53"));
  EXPECT_EQ(CanonicalJson("[1e21]").value(), "[1e+21]");
  EXPECT_THAT(mistake("{"), HasSubstr("not JSON"));
  EXPECT_THAT(mistake("[1e999]"), HasSubstr("not JSON"));
  EXPECT_THAT(mistake("\"\xff\""), HasSubstr("not JSON"));
  EXPECT_THAT(mistake(std::string(100000, '[')), HasSubstr("64 levels"));
}

TEST(CanonicalJson, TheSameMemberInTwoObjectsIsNoRepetition) {
  EXPECT_EQ(*CanonicalJson(R"([{"a":1},{"a":{"a":2}}])"), R"([{"a":1},{"a":{"a":2}}])");
}

}  // namespace
}  // namespace floe::model
