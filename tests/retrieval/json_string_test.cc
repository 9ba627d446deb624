#include "retrieval/json_string.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace floe::retrieval {
namespace {

using testing::ElementsAre;

TEST(JsonString, EveryByteKnowsWhereItComesFrom) {
  const auto found = FindJsonString(R"({"text": "a\nb\u00e4\ud83d\ude00c"})", "text");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->text, "a\nbä😀c");
  EXPECT_THAT(found->places, ElementsAre(10, 11, 13, 14, 14, 20, 20, 20, 20, 32, 33));
}

TEST(JsonString, OnlyTheTopLevelAndTheLastMemberCount) {
  EXPECT_EQ(FindJsonString(R"({"a": {"text": "no"}, "b": ["text"], "text": "yes"})", "text")->text,
            "yes");
  EXPECT_EQ(FindJsonString(R"({"text": "one", "text": "two"})", "text")->text, "two");
  EXPECT_EQ(FindJsonString(R"({"te\u0078t" : "spelled"})", "text")->text, "spelled");
  EXPECT_FALSE(FindJsonString(R"({"x": "text", "y": "\"text\": \"no\""})", "text").has_value());
}

TEST(JsonString, OtherTypesAreNoString) {
  for (const char* object :
       {R"({"text": 5})", R"({"text": null})", R"({"text": ["a"]})", R"({"text": {"text": "a"}})",
        R"({"text": "a", "text": true})", "{}"}) {
    EXPECT_FALSE(FindJsonString(object, "text").has_value()) << object;
  }
}

}  // namespace
}  // namespace floe::retrieval
